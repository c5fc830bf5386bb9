# Muster's one image: FUNCTION_TARGET chooses the entry point. deploy.sh has Cloud Build make it from a commit; for your own
# Cloud Run or Kubernetes: docker build -t muster . && docker run -p 8080:8080 --env-file .env muster
#
# The base images are pinned to a version of Python and a release of Debian; Dependabot proposes newer ones, and the
# packages are pinned by their hashes. To pin the bases too: name@sha256:... as `docker buildx imagetools inspect` shows it.

# ---- what it needs, and nothing else
FROM python:3.11.14-slim-bookworm AS packages
WORKDIR /app
COPY requirements.txt ./
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes --only-binary :all: -r requirements.txt

# ---- a gate: no image without these tests (scripts/check runs all of them, with a homeserver)
FROM python:3.11.14-bookworm AS tests
WORKDIR /app
COPY . ./
RUN git init --quiet . \
    && scripts/setup --dev \
    && .venv/bin/python -m pytest -q -n 2 -p no:cacheprovider -m "not stack" tests/shared tests/functions tests/releases tests/test_architecture.py \
    && touch /tested

# ---- what runs
FROM python:3.11.14-slim-bookworm AS runtime
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PORT=8080 FUNCTION_TARGET=admin
WORKDIR /app
COPY --from=packages /venv /venv
COPY main.py LICENSE ./
COPY functions functions
COPY shared shared
# Compiled here: otherwise every cold start compiles our own code, which is a third of it.
RUN python -m compileall -q --invalidation-mode unchecked-hash main.py functions shared
COPY --from=tests /tested ./.tested
# Nobody in particular, who owns nothing here. A number, because Kubernetes' runAsNonRoot wants one.
USER 10001:10001
EXPOSE 8080
# Each entry point answers something; only admin knows the path. Below 500 it is alive.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import http.client, os; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['PORT']), timeout=3); c.request('GET', '/api/health'); raise SystemExit(c.getresponse().status >= 500)"]
CMD ["functions-framework", "--source=main.py"]
