# Greenwave's image, for processors or for NVIDIA GPUs: which of the two, the folder of `scripts/image wheels` decides that is its context.
#
#     docker build --network=none --build-arg BASE_IMAGE=... --tag greenwave FOLDER        (or: scripts/image build)
#
# Nothing is fetched while it is built. The classic builder and BuildKit do the same. The base is Debian 12: `scripts/image base` makes one
# where none can be pulled.
ARG BASE_IMAGE=debian:12-slim

# ── the system: the base, the Debian packages that it lacks, and nothing that a locked-down container cannot use ──────────────────
FROM ${BASE_IMAGE} AS system
COPY debs/ /debs/
COPY build/add-packages build/compile-code build/trim-system /build/
RUN /build/add-packages /debs && /build/compile-code /usr/lib/python3 && /build/compile-code /usr/lib/python3.11 && /build/trim-system /debs /build

# ── the libraries, by pip, each checked against its checksum ──────────────────────────────────────────────────────────────────────
FROM system AS libraries
COPY tools/ /tools/
COPY wheels/ /wheels/
COPY requirements.txt kind /wheels/
COPY build/install-wheels build/trim_libraries.py build/compile-code build/check_libraries.py /build/
RUN python3 -m venv --without-pip /opt/greenwave \
    && /build/install-wheels /wheels \
    && /opt/greenwave/bin/python /build/trim_libraries.py "$(cat /wheels/kind)" \
    && /build/compile-code /opt/greenwave/lib
# A wheel that is too new for the base fails here, by name.
RUN /opt/greenwave/bin/python /build/check_libraries.py

# ── Greenwave itself, in a folder of its own, so that a change of it does not touch the layer of the libraries ────────────────────
FROM libraries AS application
COPY greenwave/ /wheels/greenwave/
RUN /build/install-wheels /wheels/greenwave --prefix=/application && /build/compile-code /application /opt/greenwave

# ── what is run: one layer each for system, libraries and application ─────────────────────────────────────────────────────────────
FROM scratch
ARG VERSION=0
LABEL org.opencontainers.image.title="Greenwave" \
      org.opencontainers.image.description="Turns a department's own records into its own language model, on one box, offline" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
# One layer instead of the base's history: what was removed above is really gone.
# hadolint ignore=DL3067
COPY --from=system / /
COPY --from=libraries /opt/greenwave /opt/greenwave
COPY --from=application /application/ /opt/greenwave/

# No library looks at a network: the switches of appliance/running/offline.py, here for whatever is started by hand.
# Caches go where a read-only container can write. The NVIDIA lines tell the container toolkit what --gpus is for.
# TOKENIZERS_PARALLELISM is no secret, though its name looks like one to the rule.
# hadolint ignore=DL3064
ENV PATH=/opt/greenwave/bin:/usr/bin:/bin \
    LANG=C.UTF-8 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    GREENWAVE_HOME=/data \
    GREENWAVE_CACHE=/data/cache \
    XDG_CACHE_HOME=/data/cache/xdg \
    HF_HOME=/data/cache/huggingface \
    HOME=/data \
    HF_HUB_OFFLINE=1 \
    TRANSFORMERS_OFFLINE=1 \
    HF_DATASETS_OFFLINE=1 \
    HF_HUB_DISABLE_TELEMETRY=1 \
    DO_NOT_TRACK=1 \
    LLAMA_ARG_OFFLINE=1 \
    ORT_DISABLE_TELEMETRY=1 \
    GGML_NO_BACKTRACE=1 \
    TOKENIZERS_PARALLELISM=false \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility

USER 10001:10001
WORKDIR /data
VOLUME ["/data"]
HEALTHCHECK --interval=30s --timeout=10s --start-period=20s --retries=3 CMD ["/opt/greenwave/bin/greenwave", "--version"]
ENTRYPOINT ["/opt/greenwave/bin/greenwave"]
