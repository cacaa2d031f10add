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
# The checksums of all wheels stay in the image, for its bill of materials.
RUN /build/install-wheels /wheels/greenwave --prefix=/application && /build/compile-code /application /opt/greenwave \
    && install -D -m 0644 /wheels/requirements.txt /application/share/wheels/libraries.txt \
    && install -D -m 0644 /wheels/greenwave/requirements.txt /application/share/wheels/greenwave.txt

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
# Caches worth keeping go to the volume, all others to the scratch place; nothing looks for a home of a user whom no list names.
# The NVIDIA lines tell the container toolkit what --gpus is for.
# TOKENIZERS_PARALLELISM is no secret, though its name looks like one to the rule.
# hadolint ignore=DL3064
ENV PATH=/opt/greenwave/bin:/usr/bin:/bin \
    LANG=C.UTF-8 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    GREENWAVE_CONTAINER=1 \
    GREENWAVE_HOME=/data \
    GREENWAVE_CACHE=/data/cache \
    HOME=/tmp \
    USER=greenwave \
    LOGNAME=greenwave \
    XDG_CACHE_HOME=/tmp/.cache \
    XDG_CONFIG_HOME=/tmp/.config \
    XDG_DATA_HOME=/tmp/.local/share \
    XDG_STATE_HOME=/tmp/.local/state \
    XDG_RUNTIME_DIR=/run \
    HF_HOME=/tmp/.cache/huggingface \
    NUMBA_CACHE_DIR=/tmp/.cache/numba \
    TORCHINDUCTOR_CACHE_DIR=/tmp/.cache/torchinductor \
    TRITON_CACHE_DIR=/data/cache/triton \
    CUDA_CACHE_PATH=/data/cache/cuda \
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

# Any other user works as well. There is no VOLUME line: it would make a volume without a name wherever -v was forgotten, which --rm
# removes with all work in it; the supervisor refuses to start there instead. docs/container.md has the lines to start it with.
USER 10001:10001
WORKDIR /data
HEALTHCHECK --interval=30s --timeout=20s --start-period=30s --retries=3 \
    CMD ["/opt/greenwave/bin/python", "-P", "-m", "appliance.container.health"]
ENTRYPOINT ["/opt/greenwave/bin/python", "-P", "-m", "appliance.container.supervisor"]
