# One image for the API, the pages and workers: `serve` by default, `worker` for more hands.
FROM python:3.11-slim AS build
WORKDIR /src
COPY requirements/build.lock requirements/runtime.lock requirements/
RUN python -m venv /opt/adjudge \
 && /opt/adjudge/bin/pip install --no-cache-dir --require-hashes -r requirements/build.lock \
 && /opt/adjudge/bin/pip install --no-cache-dir --require-hashes -r requirements/runtime.lock
COPY pyproject.toml README.md ./
COPY evaluator evaluator
COPY review_ui review_ui
COPY rubrics rubrics
COPY sdk sdk
RUN /opt/adjudge/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.11-slim
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/adjudge adjudge \
 && mkdir -p /var/lib/adjudge/data /etc/adjudge/rubrics \
 && chown -R adjudge /var/lib/adjudge
COPY --from=build /opt/adjudge /opt/adjudge
COPY --chown=adjudge rubrics/*.yaml /etc/adjudge/rubrics/
ENV PATH=/opt/adjudge/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    ADJUDGE_DATA_DIR=/var/lib/adjudge/data \
    ADJUDGE_RUBRICS_DIR=/etc/adjudge/rubrics \
    ADJUDGE_HOST=0.0.0.0
USER adjudge
VOLUME /var/lib/adjudge/data
EXPOSE 8700
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8700/healthz', timeout=2)"]
ENTRYPOINT ["adjudge"]
CMD ["serve"]
