# zeroair-pl for a CPU, as a user without rights:
#   docker build -t zeroair .
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/photos" zeroair restore holiday --out clear
# Another build of PyTorch, for example for CUDA, and further formats:
#   docker build --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu128 --build-arg EXTRAS=[heic,raw] -t zeroair .
FROM python:3.12-slim

# Where pip finds torch and torchvision. The plain ones bring 5 GB of GPU libraries.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG EXTRAS=

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1
RUN pip install --index-url "${TORCH_INDEX}" torch torchvision

WORKDIR /source
COPY pyproject.toml PACKAGE.md LICENSE ./
COPY zeroair_pl ./zeroair_pl
COPY configs ./configs
COPY plugins ./plugins
RUN pip install ".${EXTRAS}" && rm -rf /source

RUN useradd --create-home zeroair
# Libraries keep what they compile and draw in the home folder, which any user may write.
ENV HOME=/home/zeroair MPLCONFIGDIR=/tmp/matplotlib
RUN chmod 777 /home/zeroair
USER zeroair
WORKDIR /photos
ENTRYPOINT ["zeroair"]
CMD ["--help"]
