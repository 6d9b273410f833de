#!/bin/sh
# `standalone` alone runs the mounted configuration: worker.properties and every file of connectors/. `distributed` alone
# runs worker.properties as a worker of a cluster, whose connectors come in by REST. Any other command goes to tributary as
# it is: `topics`, `read`, `plugins`, or `standalone` with files of your own.
set -eu
program=/opt/tributary/dist/main.js
config=${TRIBUTARY_CONFIG:-/etc/tributary}
worker=$config/worker.properties

if [ "$#" -ne 1 ] || { [ "$1" != standalone ] && [ "$1" != distributed ]; }; then exec node "$program" "$@"; fi

refuse() { # what is wrong, what to do
  printf '%s\n%s\n' "$1" "$2" >&2
  exit 1
}
mount="Mount a folder with worker.properties and connectors/ there: docker run -v \"\$PWD/config:$config:ro\" … (an example is in docker/config)."

if [ ! -e "$worker" ]; then
  found=$(ls -A "$config" 2>/dev/null | head -n 5 | tr '\n' ' ' || true)
  refuse "There is no worker file $worker${found:+; $config has: $found} [WORKER_FILE_MISSING]" "$mount"
elif [ -d "$worker" ]; then
  refuse "$worker is a directory [WORKER_FILE_DIRECTORY]" "A container engine makes one when the file to mount does not exist on the host; check that path. $mount"
elif [ ! -r "$worker" ]; then
  refuse "The worker file $worker cannot be read by user $(id -u) [WORKER_FILE_UNREADABLE]" "Let others read it on the host (chmod a+r FILE, chmod a+rx FOLDER), or run the container with --user \"\$(id -u)\"."
fi
if [ "$1" = distributed ]; then exec node "$program" distributed "$worker"; fi
if [ -d "$config/connectors" ] && { [ ! -r "$config/connectors" ] || [ ! -x "$config/connectors" ]; }; then
  refuse "The folder $config/connectors cannot be read by user $(id -u) [CONNECTORS_UNREADABLE]" "Let others read it on the host (chmod a+rx FOLDER), or run the container with --user \"\$(id -u)\"."
fi

set -- "$worker"
for file in "$config"/connectors/*.properties "$config"/connectors/*.json; do
  if [ -e "$file" ]; then set -- "$@" "$file"; fi
done
if [ "$#" -eq 1 ]; then echo "no connector files in $config/connectors: the worker starts with those that it knows, and REST can add some" >&2; fi
exec node "$program" standalone "$@"
