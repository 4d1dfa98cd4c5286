#!/usr/bin/env bash
# What the tests run for real and pip cannot install: git, Java 17 or newer, Maven, Node with npm, and
# Debian's Prometheus, Alertmanager and OCI registry.
# Installs what is missing where it may (root on Debian or Ubuntu), else prints the one line to run.
set -euo pipefail

java_major() { # 0 where there is none
  local said
  said=$(java -version 2>&1) || { echo 0; return; }
  sed -nE '1s/.*version "(1\.)?([0-9]+).*/\2/p' <<<"$said" | grep . || echo 0
}

need=()
command -v git >/dev/null || need+=(git)
command -v npm >/dev/null || need+=(nodejs npm)
command -v prometheus >/dev/null || need+=(prometheus)
command -v prometheus-alertmanager >/dev/null || need+=(prometheus-alertmanager)
command -v docker-registry >/dev/null || need+=(docker-registry)
# A server somebody already has needs neither Java nor Maven here.
if [ -z "${KINLORE_TEST_NEO4J_URL:-}" ]; then
  [ "$(java_major)" -ge 17 ] || need+=(default-jdk-headless)
  command -v mvn >/dev/null || need+=(maven)
fi

if [ ${#need[@]} -eq 0 ]; then
  echo "provision: nothing is missing"
  exit 0
fi

if [ "$EUID" -eq 0 ] && command -v apt-get >/dev/null; then
  echo "provision: installing ${need[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get -qq update
  apt-get -qq install --yes --no-install-recommends "${need[@]}" >/dev/null
  exit 0
fi

{
  echo "The tests need: ${need[*]}. On Debian or Ubuntu run"
  echo "    sudo apt-get install ${need[*]}"
  echo "For the Neo4j tests, KINLORE_TEST_NEO4J_URL and KINLORE_TEST_NEO4J_PASSWORD of a running server do instead of Java and Maven."
} >&2
exit 1
