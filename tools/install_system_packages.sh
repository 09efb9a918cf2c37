#!/bin/sh
# install_system_packages.sh browser|postgres: what tests need besides Python packages, unless it is here already.
set -eu

have_browser() {
  command -v chromedriver >/dev/null &&
    { command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null
}

have_postgres() {
  ls /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/postgresql*/bin 2>/dev/null | grep -qx initdb ||
    command -v initdb >/dev/null
}

# shellcheck disable=SC2086  # words are meant
install() {
  $1 apt-get update -qq
  echo "Installing $name …"
  $1 env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null
}

case "${1:-}" in
browser)
  name="Chromium, its driver and a Chinese font"
  packages="chromium chromium-driver fonts-liberation fonts-noto-cjk"
  brew="brew install --cask chromium chromedriver font-noto-sans-cjk-sc"
  ;;
postgres)
  name="PostgreSQL"
  packages="postgresql"
  brew="brew install postgresql"
  ;;
*)
  echo "usage: $0 browser|postgres" >&2
  exit 2
  ;;
esac

if "have_$1"; then
  echo "Installed already: $name."
elif command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
  install ""
elif command -v apt-get >/dev/null && sudo -n true 2>/dev/null; then
  install "sudo -n"
else
  echo "Install $name, for example:" >&2
  echo "  sudo apt-get install $packages" >&2
  echo "  $brew" >&2
  exit 1
fi
