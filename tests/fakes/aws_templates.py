"""The templates of `deploy/aws`, as data, and as much of them as moto can make stacks of."""

import base64
import json
import re
from functools import cache
from typing import Any

import boto3
from cfnlint.decode import decode_str
from moto import mock_aws

from tests import ROOT

FOLDER = ROOT / "deploy" / "aws"

REGION = "eu-central-1"
STACK = "demo"
CLIENTS = "203.0.113.0/24"

SESSION = boto3.Session("nobody", "nothing", region_name=REGION)
"""Moto answers in place of AWS, which would not know these credentials."""

NOT_IN_MOTO = {
    "AWS::CloudFormation::WaitCondition",
    "AWS::CloudWatch::Alarm",
    "AWS::EC2::SecurityGroupEgress",
    "AWS::ElastiCache::ParameterGroup",
    "AWS::ElastiCache::ReplicationGroup",
    "AWS::ElastiCache::SubnetGroup",
    "AWS::Logs::MetricFilter",
    "AWS::RDS::DBCluster",
    "AWS::SNS::Subscription",
    "AWS::SecretsManager::Secret",
    "AWS::ServiceDiscovery::PrivateDnsNamespace",
    "AWS::ServiceDiscovery::Service",
}
"""Types that moto makes nothing of: the stacks of these tests are without them."""

STANDS_FOR = {
    "Cache.PrimaryEndPoint.Address": "cache.example",
    "Cache.PrimaryEndPoint.Port": "6379",
    "EngineCluster.Endpoint.Address": "engine.example",
    # Moto has the resources, but not these attributes.
    "Instance.PublicDnsName": "instance.example",
    "Order1Folder.Arn": "folder-1",
    "Order2Folder.Arn": "folder-2",
    "Order3Folder.Arn": "folder-3",
    "Subnet.AvailabilityZone": "eu-central-1a",
}


def text(name: str) -> str:
    return (FOLDER / f"{name}.yaml").read_text()


def template(name: str) -> dict[str, Any]:
    """The template, with intrinsic functions in their long form. A copy of one's own."""
    plain: dict[str, Any] = json.loads(_decoded(name))
    return plain


@cache
def _decoded(name: str) -> str:
    decoded, errors = decode_str(text(name))
    assert not errors
    return json.dumps(decoded)


def resources(name: str, kind: str) -> dict[str, Any]:
    """The properties of all resources of one type, by their names."""
    found = template(name)["Resources"].items()
    return {key: each.get("Properties", {}) for key, each in found if each["Type"] == kind}


def containers(name: str) -> dict[str, Any]:
    """The container definitions, by the name of their task definition and their own."""
    return {
        f"{task}.{container['Name']}": container
        for task, properties in resources(name, "AWS::ECS::TaskDefinition").items()
        for container in properties["ContainerDefinitions"]
    }


@cache
def made(name: str, variant: str) -> dict[str, Any]:
    """What a stack of the template was while it was up, by moto. It has been taken away again."""
    with mock_aws():
        cloud = SESSION.client("cloudformation")
        cloud.create_stack(
            StackName=STACK,
            TemplateBody=json.dumps(_for_moto(template(name))),
            Parameters=[
                {"ParameterKey": key, "ParameterValue": value}
                for key, value in _given(variant).items()
            ],
            Capabilities=["CAPABILITY_IAM"],
        )
        (stack,) = cloud.describe_stacks()["Stacks"]
        summaries = cloud.list_stack_resources(StackName=STACK)["StackResourceSummaries"]
        facts = {
            "status": stack["StackStatus"],
            "outputs": {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]},
            "resources": {each["LogicalResourceId"] for each in summaries},
            **(_of_instance() if name == "single" else _of_fargate()),
        }
        _delete_route_tables(SESSION.client("ec2"))
        cloud.delete_stack(StackName=STACK)
        facts["left"] = cloud.describe_stacks()["Stacks"]
        return facts


def _given(variant: str) -> dict[str, str]:
    given = {"ClientCidr": CLIENTS}
    if variant == "image":
        given["Repository"] = "twisted-bazaar"
    elif variant == "archive":
        given |= {"ArchiveBucket": "releases", "Zone": f"{REGION}b", "Snapshot": "snap-0123abcd"}
    elif variant in ("aurora", "rds"):
        given |= {"Engine": variant, "Partitions": "16"}
    elif variant == "secure":
        asked = SESSION.client("acm").request_certificate(DomainName="bazaar.example")
        files = SESSION.client("efs").create_file_system()
        given |= {"CertificateArn": asked["CertificateArn"], "FileSystem": files["FileSystemId"]}
        given["HostNames"] = "bazaar.example,www.bazaar.example"
    return given


def _of_instance() -> dict[str, Any]:
    ec2 = SESSION.client("ec2")
    ((instance,),) = [each["Instances"] for each in ec2.describe_instances()["Reservations"]]
    data = ec2.describe_instance_attribute(InstanceId=instance["InstanceId"], Attribute="userData")[
        "UserData"
    ]["Value"]
    groups = ec2.describe_security_groups()["SecurityGroups"]
    return {
        "user data": base64.b64decode(data).decode(),
        "let in": [
            rule
            for group in groups
            if group["GroupName"] != "default"
            for rule in group["IpPermissions"]
        ],
    }


def _of_fargate() -> dict[str, Any]:
    ecs, balancing = SESSION.client("ecs"), SESSION.client("elbv2")
    (balancer,) = balancing.describe_load_balancers()["LoadBalancers"]
    listeners = balancing.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])
    return {
        "listeners": {each["Port"]: each for each in listeners["Listeners"]},
        "containers": {
            f"{task['family'].removeprefix(STACK + '-')}.{container['name']}": container
            for arn in ecs.list_task_definitions()["taskDefinitionArns"]
            for task in [ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"]]
            for container in task["containerDefinitions"]
        },
    }


def _delete_route_tables(ec2: Any) -> None:
    """Moto does not delete them with their stack, and then no network that has one."""
    for table in ec2.describe_route_tables()["RouteTables"]:
        if not any(each["Main"] for each in table["Associations"]):
            ec2.delete_route_table(RouteTableId=table["RouteTableId"])


def _for_moto(whole: dict[str, Any]) -> dict[str, Any]:
    """`whole` without what moto does not know; words stand where it is referred to."""
    missing = {name for name, each in whole["Resources"].items() if each["Type"] in NOT_IN_MOTO}

    def word(reference: str) -> str | None:
        unknown = reference.split(".")[0] in missing
        return STANDS_FOR.get(reference, reference if unknown else None)

    def replaced(node: Any) -> Any:
        if isinstance(node, list):
            return [replaced(each) for each in node]
        if isinstance(node, dict):
            if "Ref" in node:
                return word(node["Ref"]) or node
            if "Fn::GetAtt" in node:
                return word(".".join(node["Fn::GetAtt"])) or node
            return {key: replaced(each) for key, each in node.items()}
        if isinstance(node, str):
            return re.sub(r"\$\{([\w.]+)\}", lambda found: word(found[1]) or found[0], node)
        return node

    kept = {name: each for name, each in whole["Resources"].items() if name not in missing}
    return {**replaced(whole), "Resources": replaced(kept)}
