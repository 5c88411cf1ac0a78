#!/bin/sh
# Installs the programs that the tests start: PostgreSQL, Redis, Postfix, Radicale, a DKIM
# verifier for Debian's own python3, and a C compiler (the race detector needs cgo).
# Says and changes nothing when all of them are there. Nothing that it installs is
# started: the tests start their own copies, on free ports in scratch folders.
set -eu

PATH=$PATH:/usr/sbin:/sbin

have_postgres() {
    command -v initdb >/dev/null 2>&1 && return 0
    for d in /usr/lib/postgresql/*/bin; do
        [ -x "$d/initdb" ] && [ -x "$d/pg_ctl" ] && return 0
    done
    return 1
}

# A python3 earlier in PATH than Debian's does not see Debian's modules.
have_dkim() { /usr/bin/python3 -c 'import dkim, nacl, authres' >/dev/null 2>&1; }

missing=
have_postgres || missing="$missing postgresql-15"
command -v redis-server >/dev/null 2>&1 && command -v redis-cli >/dev/null 2>&1 || missing="$missing redis-server"
[ -x /usr/sbin/postfix ] || missing="$missing postfix"
command -v radicale >/dev/null 2>&1 || missing="$missing radicale"
have_dkim || missing="$missing python3-dkim python3-nacl python3-authres"
command -v "${CC:-gcc}" >/dev/null 2>&1 || missing="$missing gcc libc6-dev"
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "install.sh: missing here:$missing (Debian's names), and there is no apt-get" >&2
    exit 1
fi

as_root=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        echo "install.sh: missing here:$missing; run as root: apt-get install$missing" >&2
        exit 1
    fi
    as_root=sudo
fi

# invoke-rc.d asks policy-rc.d before it starts a service; 101 says no. One that the
# machine already has is put back afterwards.
policy=/usr/sbin/policy-rc.d
kept=
restore_policy() {
    if [ -n "$kept" ]; then
        $as_root mv -f "$kept" "$policy"
    else
        $as_root rm -f "$policy"
    fi
}
if [ -e "$policy" ]; then
    kept=$policy.ticketgate-kept
    $as_root mv -f "$policy" "$kept"
fi
trap restore_policy EXIT
trap 'exit 1' INT TERM
printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
$as_root chmod 755 "$policy"

echo "install.sh: installing$missing"
$as_root apt-get -o DPkg::Lock::Timeout=300 update -q
case $missing in *postfix*)
    # Without an answer the package asks for the kind of mail server, and a system
    # instance is not wanted anyway.
    echo 'postfix postfix/main_mailer_type select No configuration' | $as_root debconf-set-selections
    ;;
esac
# shellcheck disable=SC2086 # a list of words
$as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -q -y --no-install-recommends $missing
