#!/usr/bin/env bash
# Tries the compose stack, for real: brings it up under a name of its own, lets the demo application write, moves it to
# PostgreSQL and back, compares both sides, counts the acknowledged writes, and takes everything down again.
#
#   deploy/try-compose.sh          exit code 0 if nothing was lost
#
# KEEP=1 leaves the stack up.  PROFILES=demo leaves the table topics out.  Ports are 2xxxx, on the loopback address.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export COMPOSE_PROJECT_NAME=switchback-try
export KAFKA_PORT=29192 POSTGRES_PORT=25432 PROMETHEUS_PORT=29090 GRAFANA_PORT=23000
patience=${PATIENCE:-300} # seconds for each wait
profiles=(--profile tools)
for profile in ${PROFILES:-demo topics}; do profiles+=(--profile "$profile"); done

compose() { docker compose "${profiles[@]}" --progress quiet "$@"; }
operator() { compose run --rm --no-deps -T switchback "$@"; }
step() { printf '\n== %s\n' "$*"; }

finish() {
    local code=$?
    if ((code)); then
        step "Failed with exit code $code"
        compose ps --all || true
        compose logs --no-color --tail 30 capture sink || true
    fi
    if [[ ${KEEP:-} != 1 ]]; then
        step "Take it down"
        compose down --volumes --remove-orphans --timeout 20 || true
    fi
    exit "$code"
}
trap finish EXIT

wait_for() { # WHAT COMMAND...: until the command succeeds
    local what=$1 began=$SECONDS
    shift
    until "$@"; do
        if ((SECONDS - began > patience)); then
            echo "$what: not within $patience s" >&2
            return 1
        fi
        sleep 1
    done
    echo "$what"
}

is_in_step() { operator status --json | grep -q '"phase": *"in step"'; }
is_synced() { operator status --json | grep -q '"synced": *true'; }
answer() { compose exec -T prometheus promtool query instant http://127.0.0.1:9090 "$1"; }
is_scraped() { answer 'sum(up{job=~"switchback-(capture|sink)"})' | grep -q '=> 2'; }
is_healthy() { [[ -z $(compose ps --format '{{.Service}} {{.Health}}' | grep -v ' healthy$' | grep ' .' || true) ]]; }

step "Bring it up"
compose build --quiet secrets
docker image inspect switchback --format 'image: user {{.Config.User}}, {{.Size}} bytes'
compose up --detach --no-build
wait_for "every service is healthy" is_healthy
compose ps --format 'table {{.Service}}\t{{.Image}}\t{{.Status}}'

step "Wait until PostgreSQL is in step, while the application writes"
wait_for "in step" is_in_step
operator status

step "switchback verify"
operator verify

step "switchback cutover"
operator cutover

step "The application writes to PostgreSQL for 5 seconds"
sleep 5
wait_for "in step" is_in_step

step "switchback rollback"
operator rollback

step "The application writes to SQLite for 5 seconds, then it stops"
sleep 5
compose stop demo
wait_for "both sides hold the same" is_synced

step "Compare both sides row for row, and count what the application was acknowledged"
operator verify
compose run --rm --no-deps -T --entrypoint python demo -m operations.demo.count --ledger /ledger \
    /data/demo.db 'host=postgres dbname=app user=app passfile=/run/secrets/pgpass'

step "What Prometheus knows"
wait_for "both daemons are scraped" is_scraped
answer 'switchback_lag_changes{stage="applied"}'
answer 'switchback_refused_writes'
# The demo application finds the primary by being refused on the other side; not even that may be about to wake anybody.
sleep 20 # the rules are asked every 15 seconds
alerts=$(answer 'ALERTS{alertstate="firing"} or ALERTS{alertname="SwitchbackRogueWrites"}' | tr -d '\0')
[[ -z $alerts ]] || { echo "an alert is heard: $alerts" >&2; exit 1; }
echo "no alert is heard"

if [[ " ${profiles[*]} " == *" topics "* ]]; then
    step "What a consumer of the table topics sees"
    compose exec -T kafka /opt/kafka/bin/kafka-console-consumer.sh --bootstrap-server kafka:29092 --from-beginning \
        --topic app.write_ledger --max-messages 1 --timeout-ms 60000
fi
