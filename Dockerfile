# One image for every service of the bazaar: the command is the twistd service and its options.
# docs/containers.md says how it is used, docker-compose.yml puts a whole bazaar together.
ARG BASE=python:3.13.7-slim-bookworm

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
# What others made changes seldom: a layer of its own. Each file must be the one that was pinned.
COPY requirements.txt ./
# Nobody runs the tests of Twisted and gRPC in here; they are a fifth of it all.
RUN python3 -m venv --without-pip /opt/bazaar \
 && python3 -m pip --python /opt/bazaar/bin/python3 install --require-hashes \
            --only-binary=:all: --requirement=requirements.txt \
 && find /opt/bazaar -depth -type d '(' -name test -o -name tests ')' -exec rm -r '{}' +
# What makes our wheel stays behind in this stage.
COPY requirements-dev.txt ./
RUN python3 -m venv tools && tools/bin/pip install --constraint=requirements-dev.txt hatchling
COPY pyproject.toml LICENSE ./
COPY plugins plugins
COPY twisted_bazaar twisted_bazaar
RUN tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir=wheels . \
 && python3 -m pip --python /opt/bazaar/bin/python3 install --no-index --no-deps wheels/*.whl
# twistd keeps a cache of the plugins that it found, which nobody can write later on.
RUN ["/opt/bazaar/bin/twistd", "--help"]

FROM ${BASE}
# Fixed numbers, for those who look at a volume from outside. The folders are here so that volumes
# which begin empty are this user's.
RUN groupadd --system --gid 10001 bazaar \
 && useradd --system --uid 10001 --gid bazaar --home-dir /data --no-create-home \
            --shell /usr/sbin/nologin bazaar \
 && install --directory --owner=bazaar --group=bazaar --mode=0700 /data /etc/bazaar \
            /etc/authority /etc/certificates/frontend /etc/certificates/catalog \
            /etc/certificates/order-1 /etc/certificates/order-2 /etc/certificates/order-3 \
            /etc/certificates/operator \
 # Prometheus reads it as another user.
 && install --directory --owner=bazaar --group=bazaar --mode=0755 /etc/certificates/monitor
COPY --from=build /opt/bazaar /opt/bazaar
ENV PATH=/opt/bazaar/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /data
STOPSIGNAL SIGTERM
# Whether this service lives; not whether it is ready, which depends on others.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python3", "-m", "twisted_bazaar", "health"]
ENTRYPOINT ["twistd", "--nodaemon", "--pidfile="]
CMD ["bazaar", "--data=/data", "--listen=tcp:8081"]
