# The dashboard on a server: see docs/how-to/serve.md. Built from the lock file's versions.
FROM python:3.11-slim-bookworm AS build
RUN python -m venv /opt/venv && /opt/venv/bin/pip install --no-cache-dir "uv==0.9.13"
WORKDIR /src
COPY requirements.lock requirements.txt ./
# Names from the project, versions and hashes from the lock: what only developers need stays out.
RUN /opt/venv/bin/uv pip install --no-cache --python /opt/venv/bin/python \
        --constraint requirements.lock --requirement requirements.txt onnx onnxruntime authlib httpx
COPY . .
RUN /opt/venv/bin/uv pip install --no-cache --python /opt/venv/bin/python --no-deps . \
    && /opt/venv/bin/uv pip uninstall --python /opt/venv/bin/python uv

FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin ecgxai \
    && install -d -o ecgxai -g ecgxai /cache /feedback
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH \
    HOME=/tmp \
    ECGXAI_CACHE_DIR=/cache \
    ECGXAI_FEEDBACK_FILE=/feedback/feedback.sqlite \
    ECGXAI_OPERATOR=0 \
    STREAMLIT_SERVER_ADDRESS=0.0.0.0
USER 10001
VOLUME ["/cache", "/feedback"]
EXPOSE 8501
HEALTHCHECK --start-period=60s CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=5)"]
ENTRYPOINT ["ecgxai", "app", "--headless"]
