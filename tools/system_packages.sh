#!/bin/sh
# Install Debian packages that are missing, where this runs as root on Debian; otherwise say what will be skipped.
set -eu
missing=""
for package in python3-venv "$@"; do
  [ "$package" = python3-venv ] && python3 -c "import ensurepip" 2>/dev/null && continue
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q "install ok installed" || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "==> Not installed:$missing. What needs them is skipped with a reason. To have them: apt-get install$missing"
  exit 0
fi
echo "==> Installing with apt:$missing"
# A daemon that the package would start (sshd) is not wanted: edgepack starts its own, on loopback.
created=""
if [ ! -e /usr/sbin/policy-rc.d ]; then
  printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d && created=yes
fi
trap '[ -z "$created" ] || rm -f /usr/sbin/policy-rc.d' EXIT
# qemu-user-static registers itself there, when the package is installed.
case "$missing" in *qemu-user-static*) mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc 2>/dev/null || true ;; esac
export DEBIAN_FRONTEND=noninteractive
apt-get install -y --no-install-recommends -qq $missing >/dev/null 2>&1 || {
  apt-get update -qq >/dev/null 2>&1 || true
  apt-get install -y --no-install-recommends -qq $missing >/dev/null || \
    echo "==> apt could not install:$missing. What needs them is skipped with a reason."
}
