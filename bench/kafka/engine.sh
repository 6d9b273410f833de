#!/bin/bash
# engine.sh WORKDIR RESTPORT BOOTSTRAP CONNECTOR_PROPERTIES   our worker in the place of connect-standalone, for a bench that
# starts either: stays in the foreground, serves REST on RESTPORT. `npm run build` first. NODE_ARGS and WORKER_PROPERTIES
# (more lines for the worker file) are taken from the environment.
set -euo pipefail
DIR=${1:?work directory}; PORT=${2:?REST port}; BOOTSTRAP=${3:?bootstrap servers}; CONNECTOR=${4:?connector file}
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
mkdir -p "$DIR"
cat > "$DIR/tributary.properties" <<P
bootstrap.servers=$BOOTSTRAP
listeners=http://127.0.0.1:$PORT
log.dir=$DIR/tributary
key.converter=org.apache.kafka.connect.json.JsonConverter
key.converter.schemas.enable=false
value.converter=org.apache.kafka.connect.json.JsonConverter
value.converter.schemas.enable=false
${WORKER_PROPERTIES:-}
P
exec node ${NODE_ARGS:-} "$ROOT/dist/main.js" standalone "$DIR/tributary.properties" "$CONNECTOR"
