FROM python:3.13-slim AS build
WORKDIR /src
COPY . .
RUN python -m venv /opt/comity && /opt/comity/bin/pip install --no-cache-dir .

FROM python:3.13-slim
RUN useradd --system --uid 10001 --no-create-home comity \
    && install --directory --owner=comity --group=comity /data
COPY --from=build /opt/comity /opt/comity
ENV PATH=/opt/comity/bin:$PATH PYTHONUNBUFFERED=1
USER comity
VOLUME /data
EXPOSE 8765
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8765/healthz', timeout=2)"]
# Inside the container the server must listen on every address, and it has no authentication before roles exist:
# hence --insecure. Publish the port on loopback only, as docker-compose.yml does.
CMD ["comity", "serve", "--host", "0.0.0.0", "--data", "/data", "--insecure"]
