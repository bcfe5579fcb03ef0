"""The templates of `deploy/aws`, as text."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from cfnlint.api import lint
from cfnlint.config import ManualArgs

from tests.fakes.aws_templates import FOLDER, REGION, ROOT, containers, resources, template, text

NAMES = ("single", "fargate")

MAX_BODY_BYTES = 51_200
"""What CloudFormation takes without a bucket."""

TAKE_NO_RESOURCE = {
    "ecr:GetAuthorizationToken",
    "ssm:UpdateInstanceInformation",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
}
"""Actions that AWS grants for `*` only, or not at all."""


def test_every_template_is_tested() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_template_has_no_fault_that_cfn_lint_knows(name: str) -> None:
    config = ManualArgs(regions=[REGION, "us-east-1"], include_checks=["I"])
    assert [f"{each.linenumber}: {each}" for each in lint(text(name), config=config)] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_template_is_small_enough_to_be_sent_without_a_bucket(name: str) -> None:
    assert len(text(name).encode()) <= MAX_BODY_BYTES


@pytest.mark.parametrize("name", NAMES)
def test_no_region_account_or_zone_is_written_down(name: str) -> None:
    assert not re.search(r"\b(us|eu|ap|sa|ca|af|me)-[a-z]+-\d|\b\d{12}\b", text(name))


@pytest.mark.parametrize("name", NAMES)
def test_only_the_networks_that_the_user_names_have_access(name: str) -> None:
    asked = template(name)["Parameters"]["ClientCidr"]
    assert "Default" not in asked
    pattern = re.compile(asked["AllowedPattern"])
    for right in ("203.0.113.7/32", "10.0.0.0/8", "0.0.0.0/0"):
        assert pattern.search(right), right
    for wrong in ("", "203.0.113.7", "203.0.113.7/33", "256.0.0.1/8", "::/0", " 10.0.0.0/8"):
        assert not pattern.search(wrong), wrong
    rules = [
        rule
        for group in resources(name, "AWS::EC2::SecurityGroup").values()
        for rule in group.get("SecurityGroupIngress", [])
    ]
    assert rules
    for rule in rules:
        assert rule["CidrIp"] == {"Ref": "ClientCidr"}


def statements(node: Any) -> list[dict[str, Any]]:
    """Every statement of every policy in `node`."""
    if isinstance(node, dict):
        own = node.get("Statement", [])
        return [*own, *(each for value in node.values() for each in statements(value))]
    if isinstance(node, list):
        return [each for value in node for each in statements(value)]
    return []


@pytest.mark.parametrize("name", NAMES)
def test_roles_allow_only_named_actions_and_resources(name: str) -> None:
    found = [each for each in statements(template(name)) if each["Effect"] == "Allow"]
    assert found
    for statement in found:
        actions = statement["Action"]
        actions = {actions} if isinstance(actions, str) else set(actions)
        assert not any("*" in action for action in actions)
        if "Principal" in statement:
            assert set(statement["Principal"]) == {"Service"}
        elif "*" in json.dumps(statement["Resource"]):
            assert statement["Resource"] == "*"
            assert actions <= TAKE_NO_RESOURCE, actions - TAKE_NO_RESOURCE
    # What AWS manages may be allowed more any day.
    assert "arn:aws:iam::aws:policy" not in text(name)


@pytest.mark.parametrize("name", NAMES)
def test_logs_are_kept_for_the_chosen_time(name: str) -> None:
    groups = resources(name, "AWS::Logs::LogGroup").values()
    assert [each["RetentionInDays"] for each in groups] == [{"Ref": "LogDays"}]


def test_the_data_of_the_instance_outlives_it_and_the_stack() -> None:
    volume = template("single")["Resources"]["Data"]
    assert volume["DeletionPolicy"] == volume["UpdateReplacePolicy"] == "Snapshot"
    assert volume["Properties"]["Encrypted"] is True
    assert volume["Properties"]["VolumeType"] == "gp3"
    (instance,) = resources("single", "AWS::EC2::Instance").values()
    assert instance["Volumes"] == [{"VolumeId": {"Ref": "Data"}, "Device": "/dev/sdf"}]
    assert all(each["Ebs"]["Encrypted"] for each in instance["BlockDeviceMappings"])


def test_instance_credentials_need_a_session_token() -> None:
    (instance,) = resources("single", "AWS::EC2::Instance").values()
    assert instance["MetadataOptions"] == {"HttpTokens": "required", "HttpPutResponseHopLimit": 1}
    assert "KeyName" not in instance


def test_the_single_stack_waits_until_the_bazaar_is_ready() -> None:
    ready = template("single")["Resources"]["Ready"]
    assert ready["Type"] == "AWS::CloudFormation::WaitCondition"
    assert ready["CreationPolicy"]["ResourceSignal"]["Count"] == 1
    # With a dependency, the signal could come before the condition waits for it.
    assert set(ready) == {"Type", "CreationPolicy"}


def test_the_order_logs_on_fargate_outlive_the_stack() -> None:
    files = template("fargate")["Resources"]["Files"]
    assert files["DeletionPolicy"] == "RetainExceptOnCreate"
    assert files["UpdateReplacePolicy"] == "Retain"
    assert files["Properties"]["Encrypted"] is True


def test_a_replica_has_a_folder_a_zone_and_a_name_to_itself_and_never_two_tasks() -> None:
    services = resources("fargate", "AWS::ECS::Service")
    tasks = resources("fargate", "AWS::ECS::TaskDefinition")
    folders, zones = set(), set()
    for number in ("1", "2", "3"):
        service, task = services[f"Order{number}Service"], tasks[f"Order{number}Task"]
        assert service["TaskDefinition"] == {"Ref": f"Order{number}Task"}
        assert service["ServiceName"] == f"order-{number}"
        assert service["DesiredCount"] == 1
        deployment = service["DeploymentConfiguration"]
        assert deployment["MinimumHealthyPercent"] == 0
        assert deployment["MaximumPercent"] == 100
        # It would start a second task elsewhere before it stops the first.
        assert service["AvailabilityZoneRebalancing"] == "DISABLED"
        assert [each["RegistryArn"]["Fn::GetAtt"] for each in service["ServiceRegistries"]] == [
            [f"Order{number}Name", "Arn"]
        ]
        zones.add(json.dumps(service["NetworkConfiguration"]["AwsvpcConfiguration"]["Subnets"]))
        (volume,) = task["Volumes"]
        mounted = volume["EFSVolumeConfiguration"]
        assert mounted["TransitEncryption"] == "ENABLED"
        access = mounted["AuthorizationConfig"]
        assert access == {"AccessPointId": {"Ref": f"Order{number}Folder"}, "IAM": "ENABLED"}
        role = resources("fargate", "AWS::IAM::Role")[f"Order{number}Role"]
        assert task["TaskRoleArn"] == {"Fn::GetAtt": [f"Order{number}Role", "Arn"]}
        (statement,) = role["Policies"][0]["PolicyDocument"]["Statement"]
        own = {"Fn::GetAtt": [f"Order{number}Folder", "Arn"]}
        assert statement["Condition"] == {"StringEquals": {"elasticfilesystem:AccessPointArn": own}}
        folder = resources("fargate", "AWS::EFS::AccessPoint")[f"Order{number}Folder"]
        folders.add(folder["RootDirectory"]["Path"])
    assert len(folders) == len(zones) == 3


def test_a_new_release_goes_to_one_replica_after_the_other() -> None:
    made = template("fargate")["Resources"]
    assert "Order1Service" in made["Order2Service"]["DependsOn"]
    assert "Order2Service" in made["Order3Service"]["DependsOn"]


def test_a_front_end_is_not_replaced_while_there_is_no_leader() -> None:
    (targets,) = resources("fargate", "AWS::ElasticLoadBalancingV2::TargetGroup").values()
    assert targets["HealthCheckPath"] == "/livez"


@pytest.mark.parametrize("kind", ["Public", "Private"])
def test_there_is_a_subnet_of_each_kind_in_three_zones(kind: str) -> None:
    subnets = resources("fargate", "AWS::EC2::Subnet").items()
    zones = [json.dumps(each["AvailabilityZone"]) for name, each in subnets if kind in name]
    assert len(zones) == len(set(zones)) == 3
    shared = resources("fargate", "AWS::ECS::Service")["FrontEndService"]["NetworkConfiguration"]
    assert len(shared["AwsvpcConfiguration"]["Subnets"]) == 3


def test_files_belong_to_the_user_of_the_image() -> None:
    (user,) = re.findall(r"^USER (\d+):(\d+)$", (ROOT / "Dockerfile").read_text(), re.M)
    assert user == ("10001", "10001")
    for folder in resources("fargate", "AWS::EFS::AccessPoint").values():
        assert folder["PosixUser"] == {"Uid": user[0], "Gid": user[1]}
        made = folder["RootDirectory"]["CreationInfo"]
        assert (made["OwnerUid"], made["OwnerGid"]) == user
    assert f"install -d -o {user[0]} -g {user[1]} " in text("single")


def test_no_task_has_an_address_or_a_writable_root_of_its_own() -> None:
    for service in resources("fargate", "AWS::ECS::Service").values():
        network = service["NetworkConfiguration"]["AwsvpcConfiguration"]
        assert network["AssignPublicIp"] == "DISABLED"
    for container in containers("fargate").values():
        assert container["ReadonlyRootFilesystem"] is True


def test_logs_do_not_block_and_every_container_has_an_init() -> None:
    for name, container in containers("fargate").items():
        logged = container["LogConfiguration"]
        assert logged["LogDriver"] == "awslogs", name
        assert logged["Options"]["mode"] == "non-blocking", name
        assert logged["Options"]["max-buffer-size"] == "4m", name
        assert container["LinuxParameters"] == {"InitProcessEnabled": True}, name
    run = text("single").partition("docker run ")[2].partition("curl ")[0].split()
    assert "--init" in run
    assert {"awslogs", "mode=non-blocking", "max-buffer-size=4m"} <= set(run)


def test_the_readme_names_every_parameter() -> None:
    readme = (FOLDER / "README.md").read_text()
    for name in NAMES:
        for parameter in template(name)["Parameters"]:
            assert f"`{parameter}`" in readme, parameter


def test_every_resource_that_the_readme_names_exists() -> None:
    readme = (FOLDER / "README.md").read_text()
    for path in re.findall(r"\]\(([^):#]+)[^)]*\)", readme):
        assert Path(FOLDER, path).exists(), path
    for template_file in re.findall(r"[\w/]+\.yaml", readme):
        assert (ROOT / template_file).exists() or (FOLDER / template_file).exists(), template_file
