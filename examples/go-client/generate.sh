#!/bin/sh
# Makes the Go code of the contract in recsvcv1/, with the protoc of the project's environment and the plug-ins
# that go.mod names. The protos name no Go package, so each file is given one here.
set -eu
cd "$(dirname "$0")"
root=../..
python=${PYTHON:-$root/.venv/bin/python}
package=recsvc-go-client/recsvcv1
files='common bestseller_service recommendation_service event_service'

go build -o bin/ google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc
google=$("$python" -c 'import pathlib, google.rpc.status_pb2 as s; print(pathlib.Path(s.__file__).parents[2])')

set -- -I "$root/proto" -I "$google"
for file in $files; do
    set -- "$@" --go_opt="Mrecsvc/v1/$file.proto=$package" --go-grpc_opt="Mrecsvc/v1/$file.proto=$package"
done
for file in $files; do
    set -- "$@" "recsvc/v1/$file.proto"
done
"$python" -m grpc_tools.protoc \
    --plugin=bin/protoc-gen-go --go_out=. --go_opt=module=recsvc-go-client \
    --plugin=bin/protoc-gen-go-grpc --go-grpc_out=. --go-grpc_opt=module=recsvc-go-client \
    "$@"
