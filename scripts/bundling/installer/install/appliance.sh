# shellcheck shell=bash
# The appliance: a container, the one before it, and names that say how far an exchange has come.
#
#   NAME            the appliance                      NAME-next       made, not started yet
#   NAME-previous   from before the last upgrade       NAME-leaving    an upgrade is under way: what NAME was before
#                                                      NAME-newer      a roll-back is under way: what NAME was before

there() { docker container inspect "$1" >/dev/null 2>&1; }
ask() { docker container inspect --format "$2" "$1"; }
version_of() { ask "$1" '{{index .Config.Labels "greenwave.version"}}'; }
moved() { docker rename "$1" "$2"; }
gone() { docker rm --force "$1" >/dev/null; }

check_engine() {
    local told
    need docker
    told=$(docker version --format '{{.Server.Version}}' 2>&1) || fail 2 engine "${told//$'\n'/ }"
}

check_driver() { # the kernel module's own word, as it is there without any program
    [[ $VARIANT == cuda ]] || return 0
    local proc=${GREENWAVE_DRIVER_FILE:-/proc/driver/nvidia/version} version
    [[ -r $proc ]] || fail 4 driver "$DRIVER"
    version=$(grep -oE '[0-9]+\.[0-9]+(\.[0-9]+)?' "$proc" | head -n 1)
    ((${version%%.*} >= ${DRIVER%%.*})) || fail 4 driver_old "$version" "$DRIVER"
}

load_image() {
    local told root parts=("$staging"/image.tar.gz.*)
    root=$(docker info --format '{{.DockerRootDir}}' 2>/dev/null || true)
    if [[ -d $root ]]; then need_room "$root" "$IMAGE_MB"; fi
    say loading
    told=$(cat -- "${parts[@]}" | docker load 2>&1) || fail 1 load "${told//$'\n'/ }"
    docker image inspect "$IMAGE" >/dev/null 2>&1 || fail 1 load "${told//$'\n'/ }"
    rm -f -- "${parts[@]}"
}

choose_data() { # sets storage (for --mount) and user; refuses a folder that will not do, and changes nothing
    local owner there
    user=$IMAGE_USER
    storage="type=volume,source=$appliance,destination=/data"
    [[ -n $data ]] || return 0
    data=$(realpath -m -- "$data")
    storage="type=bind,source=$data,destination=/data"
    there=$data
    while [[ ! -e $there ]]; do there=$(dirname -- "$there"); done
    [[ -d $there && ($there == "$data" || -w $there) ]] || fail 2 data_folder "$data"
    owner=$(id -u):$(id -g) # whose a new folder is
    if [[ $there == "$data" ]]; then owner=$(stat -c %u:%g -- "$data"); fi
    if [[ $owner != 0:* ]]; then
        user=$owner # what is there belongs to somebody: the appliance runs as them
    elif ((EUID != 0)); then
        fail 2 data_folder "$data" # only root may give away what is root's
    elif [[ $there == "$data" && -n $(ls -A -- "$data" 2>/dev/null || echo unreadable) ]]; then
        fail 2 data_owner "$data"
    fi
}

make_data() { # what choose_data has found to be possible
    if [[ -z $data ]]; then
        docker volume create "$appliance" >/dev/null
    else
        mkdir -p -- "$data" 2>/dev/null || fail 2 data_folder "$data"
        if [[ $(stat -c %u:%g -- "$data") != "$user" ]]; then
            chown "$user" -- "$data" 2>/dev/null || fail 2 data_folder "$data"
        fi
    fi
}

most_memory() { # the machine's, less four gigabytes for everything else
    local total
    total=$(awk '/^MemTotal:/ { print int($2 / 1024) }' /proc/meminfo)
    echo "$((total > 8192 ? total - 4096 : total / 2))m"
}

time_zone() { # the machine's offset in POSIX form, whose sign is the other way round
    local offset
    offset=$(date +%z)
    echo "<$offset>$(tr +- -+ <<<"${offset:0:1}")${offset:1:2}:${offset:3:2}"
}

hardened() { # sets options: what docs/container.md explains, and what was chosen
    local most=${memory:-$(most_memory)}
    options=(
        --read-only --cap-drop ALL --security-opt no-new-privileges --network none --pids-limit 2048
        --memory "$most" --memory-swap "$most" --tmpfs /tmp --tmpfs /run --stop-timeout 60
        --env "GREENWAVE_LANG=$inside" --env "TZ=$zone" --user "$user" --mount "$storage"
    )
    if [[ $VARIANT == cuda ]]; then options+=(--gpus all --shm-size 1g); fi
    media_options
}

media_options() { # a medium that is put in later is seen at once where the machine shares its mounts, as systemd has it
    local mount="type=bind,source=$media,destination=/media,readonly"
    if [[ ! -d $media ]]; then
        say no_media "$media"
    elif [[ $(findmnt --noheadings --output PROPAGATION --target "$media" 2>/dev/null) =~ shared|slave ]]; then
        options+=(--mount "$mount,bind-propagation=rslave")
    else
        say later_media "$media"
        options+=(--mount "$mount")
    fi
}

create_next() { # the labels remember what was chosen, for the next version
    docker create --name "$appliance-next" --restart unless-stopped \
        --label "greenwave.version=$VERSION" --label "greenwave.variant=$VARIANT" --label "greenwave.storage=$storage" \
        --label "greenwave.media=$media" --label "greenwave.memory=$memory" --label "greenwave.inside=$inside" --label "greenwave.zone=$zone" \
        "${options[@]}" "$IMAGE" >/dev/null
}

chosen_before() { ask "$appliance" "{{index .Config.Labels \"greenwave.$1\"}}"; }

remember() { # choices of the first installation hold for later ones, unless they are made anew
    storage=$(chosen_before storage)
    user=$(ask "$appliance" '{{.Config.User}}')
    inside=$(chosen_before inside)
    zone=$(chosen_before zone)
    [[ -n $media_chosen ]] || media=$(chosen_before media)
    [[ -n $memory ]] || memory=$(chosen_before memory)
}

is_well() { # CONTAINER: waits until it is healthy; false when it ended, or was not within two minutes
    local state tries
    for ((tries = 0; tries < 120; tries++)); do
        state=$(ask "$1" '{{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{else}}healthy{{end}}' 2>/dev/null) || return 1
        case $state in
            "running healthy") return 0 ;;
            running\ * | created\ *) sleep 1 ;;
            *) return 1 ;;
        esac
    done
    return 1
}

last_words() { docker logs --tail 15 "$1" 2>&1 | LC_ALL=C tr -d '\000-\010\013-\037\177' >&2 || true; }

run_inside() { # CONTAINER ARGUMENT...: a command of that container's version, on its data
    docker run --rm --network none --read-only --cap-drop ALL --security-opt no-new-privileges --tmpfs /tmp --tmpfs /run \
        --user "$(ask "$1" '{{.Config.User}}')" --mount "$(ask "$1" '{{index .Config.Labels "greenwave.storage"}}')" \
        "$(ask "$1" '{{.Image}}')" "${@:2}"
}

fitting_database() { # CONTAINER: the database that its version can open is in use again; false if there is none
    local told code=0
    told=$(run_inside "$1" database restore --json 2>&1) || code=$?
    case $code:$told in
        0:*)
            kept_database=$(sed -n 's/.*"kept": "\([^"]*\)".*/\1/p' <<<"$told")
            say restored
            ;;
        *'"database_fits"'* | *'"database_missing"'*) ;; # nothing was changed that it cannot read
        *)
            database_trouble=${told//$'\n'/ }
            return 1
            ;;
    esac
}

is_running() { there "$1" && [[ $(ask "$1" '{{.State.Running}}') == true ]]; }

starts() { docker start "$1" >/dev/null && is_well "$1"; }

repair() { # what an installation left that was interrupted: completed where that is possible, else taken back
    local mended=
    completed=
    if there "$appliance-next"; then
        gone "$appliance-next"
        mended=1
    fi
    if there "$appliance-leaving"; then
        mended=1
        if is_running "$appliance" && is_well "$appliance"; then
            finish_upgrade
            completed=upgrade
        else
            take_back_upgrade
        fi
    fi
    if there "$appliance-newer"; then
        mended=1
        complete_rollback
        completed=rollback
    fi
    if [[ -n $mended ]]; then say repaired; fi
}

interrupted() { # nobody is left with a half-exchanged appliance
    trap '' INT TERM HUP
    if [[ -n $exchanging ]]; then repair; fi
    exit 130
}

finish_upgrade() {
    if there "$appliance-previous"; then gone "$appliance-previous"; fi
    moved "$appliance-leaving" "$appliance-previous"
}

take_back_upgrade() { # NAME is the new one, or not there yet; NAME-leaving is what worked
    if there "$appliance"; then
        docker stop "$appliance" >/dev/null 2>&1 || true
        gone "$appliance"
    fi
    fitting_database "$appliance-leaving" || fail 1 not_back "$appliance" "$appliance-leaving"
    moved "$appliance-leaving" "$appliance"
    docker start "$appliance" >/dev/null || fail 1 not_back "$appliance" "$appliance"
    say came_back "$appliance"
}

complete_rollback() { # NAME-newer is what is left; NAME-previous, or NAME already, is what is gone back to
    say stopping
    docker stop "$appliance-newer" >/dev/null
    if there "$appliance-previous" && ! there "$appliance"; then
        if ! fitting_database "$appliance-previous"; then
            moved "$appliance-newer" "$appliance"
            docker start "$appliance" >/dev/null || fail 1 not_back "$appliance" "$appliance"
            fail 1 database "$database_trouble"
        fi
        moved "$appliance-previous" "$appliance"
    fi
    say starting
    if starts "$appliance"; then
        finish_rollback
    else
        say_first start
        last_words "$appliance"
        take_back_rollback
        say_hint start
        exit 1
    fi
}

finish_rollback() { # the newer version comes back by --upgrade with its bundle
    local image
    image=$(ask "$appliance-newer" '{{.Config.Image}}')
    gone "$appliance-newer"
    docker image rm "$image" >/dev/null 2>&1 || true # another appliance may run on it
}

take_back_rollback() { # the older version does not start; the newer one gets its own database back
    docker stop "$appliance" >/dev/null 2>&1 || true
    moved "$appliance" "$appliance-previous"
    if [[ -n $kept_database ]]; then
        run_inside "$appliance-newer" database restore "$kept_database" >/dev/null 2>&1 || fail 1 not_back "$appliance" "$appliance-newer"
    fi
    moved "$appliance-newer" "$appliance"
    docker start "$appliance" >/dev/null || fail 1 not_back "$appliance" "$appliance"
    say came_back "$appliance"
}
