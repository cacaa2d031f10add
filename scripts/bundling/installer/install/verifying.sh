# shellcheck shell=bash
# The bundle: signature first, then every file, then and only then is anything done with it.

need() { # PROGRAM...
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null || fail 2 tool "$program"
    done
}

alone() { # one installer at a time for an appliance, from whichever bundle; the file stays, what counts is who holds it
    local lock="${GREENWAVE_LOCKS:-/var/tmp}/greenwave-$appliance.lock"
    [[ -e $lock || -L $lock ]] || (umask 022 && set -o noclobber && : >"$lock") 2>/dev/null || true
    [[ -f $lock && ! -L $lock ]] && { exec 9<"$lock"; } 2>/dev/null || fail 2 lock "$lock"
    flock -n 9 || fail 5 busy
}

free_mb() { df -Pm -- "$1" | awk 'NR == 2 { print $4 }'; }

make_staging() { # a private folder; those of installations that were killed are removed
    local place=${TMPDIR:-/var/tmp} left
    for left in "$place"/greenwave-install.*; do
        if [[ -d $left && ! -L $left && -O $left ]] && { exec 8<"$left"; } 2>/dev/null && flock -n 8; then
            rm -rf -- "$left"
        fi
    done
    staging=$(mktemp -d "$place/greenwave-install.XXXXXXXX") || fail 4 copy "$place" "$place"
    exec 8<"$staging"
    flock -n 8
    trap 'rm -rf -- "$staging"' EXIT
    trap interrupted INT TERM HUP
}

verify_signature() { # the copy of SHA256SUMS in the staging folder
    local told name
    [[ -n $signers || -n $fingerprint ]] || fail 2 who
    for name in SHA256SUMS SHA256SUMS.sig; do
        [[ -f $here/$name && ! -L $here/$name ]] || fail 3 incomplete "$name"
        cp -- "$here/$name" "$staging/$name" 2>/dev/null || fail 3 unreadable "$here/$name"
    done
    if [[ -n $signers ]]; then
        [[ -f $signers && -r $signers ]] || fail 2 unreadable "$signers"
        [[ $(realpath -- "$signers") != "$here"/* ]] || fail 2 signers_inside "$signers"
        told=$(ssh-keygen -Y verify -f "$signers" -I greenwave -n greenwave -s "$staging/SHA256SUMS.sig" <"$staging/SHA256SUMS" 2>&1) ||
            fail 3 signature "${told//$'\n'/ }"
    else
        told=$(ssh-keygen -Y check-novalidate -n greenwave -s "$staging/SHA256SUMS.sig" <"$staging/SHA256SUMS" 2>&1) ||
            fail 3 signature "${told//$'\n'/ }"
        [[ ${told##* } == "$fingerprint" ]] || fail 3 fingerprint "${told##* }"
    fi
    signer=${told##* }
}

read_sums() { # fills names and sums; a name is relative, of plain characters, and leads nowhere else
    local line LC_ALL=C
    names=() sums=()
    local shape='^([0-9a-f]{64})  (([A-Za-z0-9_+-][A-Za-z0-9._+-]*/)*[A-Za-z0-9_+-][A-Za-z0-9._+-]*)$'
    while IFS= read -r line || [[ -n $line ]]; do
        [[ $line =~ $shape ]] || fail 3 sums "$line"
        sums+=("${BASH_REMATCH[1]}")
        names+=("${BASH_REMATCH[2]}")
    done <"$staging/SHA256SUMS"
}

refuse() { # prints what is in the array offences, and ends
    local line
    say_first refused
    for line in "${offences[@]:0:50}"; do say "${line%%:*}" "${line#*:}"; done
    say_hint refused
    exit 3
}

say_first() { local text; text=$(sentence "$1"); printf '%s\n' "${text%|*}" >&2; }
say_hint() { local text; text=$(sentence "$1"); printf '%s%s\n' "$(sentence hint)" "${text##*|}" >&2; }

compare_names() { # what is there against what was signed, every kind of file
    local -A there=() signed=()
    local entry name
    while IFS= read -r -d '' entry; do
        name=${entry#"$here"/}
        if [[ -L $entry || ! -f $entry ]]; then offences+=("not_plain:$(printf %q "$name")"); fi
        there[$name]=1
    done < <(find "$here" -mindepth 1 ! -type d -print0)
    for name in "${names[@]}" SHA256SUMS SHA256SUMS.sig; do
        signed[$name]=1
        [[ -n ${there[$name]-} ]] || offences+=("missing:$name")
    done
    for name in "${!there[@]}"; do
        [[ -n ${signed[$name]-} ]] || offences+=("additional:$(printf %q "$name")")
    done
}

verify_bundle() { # [copy]: with copy what is installed later is the verified copy, whatever the medium shows by then
    local source=$here index sum name
    offences=()
    verify_signature
    read_sums
    say verifying "${#names[@]}"
    compare_names
    ((${#offences[@]} == 0)) || refuse
    if [[ ${1-} == copy ]]; then
        source=$staging
        need_room "$staging" "$(($(du -smL -- "$here" | cut -f1) + 50))"
        for name in "${names[@]}"; do
            mkdir -p -- "$staging/$(dirname -- "$name")"
            cp -- "$here/$name" "$staging/$name" 2>/dev/null || fail 4 copy "$name" "$staging"
        done
    fi
    for index in "${!names[@]}"; do
        sum=$(sha256sum <"$source/${names[index]}" 2>/dev/null) || fail 3 unreadable "${names[index]}"
        [[ ${sum%% *} == "${sums[index]}" ]] || offences+=("changed:${names[index]}")
    done
    ((${#offences[@]} == 0)) || refuse
    read_facts "$source/bundle.conf"
    say verified "$VERSION" "$VARIANT" "$signer"
}

read_facts() { # FILE of KEY=VALUE lines, which are never run as commands
    local key value
    while IFS='=' read -r key value; do
        case $key in
            VERSION) VERSION=$value ;;
            VARIANT) VARIANT=$value ;;
            IMAGE) IMAGE=$value ;;
            IMAGE_MB) IMAGE_MB=$value ;;
            IMAGE_USER) IMAGE_USER=$value ;;
            DRIVER) DRIVER=$value ;;
        esac
    done <"$1"
}

need_room() { # FOLDER MB
    local free
    free=$(free_mb "$1")
    ((free >= $2)) || fail 4 room "$1" "$free" "$2"
}
