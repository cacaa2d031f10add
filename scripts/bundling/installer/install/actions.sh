# shellcheck shell=bash
# What can be asked for: install, upgrade, roll back, uninstall.

check() {
    make_staging
    verify_bundle
}

install() {
    make_staging
    verify_bundle copy
    check_engine
    check_driver
    repair
    if there "$appliance"; then
        [[ $(version_of "$appliance") == "$VERSION" && $(ask "$appliance" '{{index .Config.Labels "greenwave.variant"}}') == "$VARIANT" ]] ||
            fail 2 other "$appliance" "$(version_of "$appliance")" "$VERSION"
        if [[ -n $data$memory$media_chosen ]]; then say stays; fi
    else
        choose_data
        load_image
        make_data
        hardened
        exchanging=1
        create_next
        moved "$appliance-next" "$appliance"
        fresh=1
        exchanging=
    fi
    start_appliance
}

start_appliance() { # what does not start is told; if it was made just now, nothing but the data is left of it
    say starting
    if ! starts "$appliance"; then
        say_first start
        last_words "$appliance"
        if [[ -n $fresh ]]; then gone "$appliance"; fi
        say_hint start
        exit 1
    fi
    # A new volume is open to any user, so that any may run the image; from now on it is known who does.
    if [[ -n $fresh && $storage == type=volume* ]]; then docker exec "$appliance" chmod 750 /data >/dev/null 2>&1 || true; fi
    say running "$VERSION" "$appliance"
    say use "$appliance"
}

upgrade() {
    make_staging
    verify_bundle copy
    check_engine
    check_driver
    repair
    there "$appliance" || fail 2 none "$appliance"
    if [[ $(version_of "$appliance") == "$VERSION" ]]; then
        start_appliance # done already, perhaps by a repair
        return
    fi
    load_image
    remember
    hardened
    exchanging=1
    create_next
    moved "$appliance" "$appliance-leaving"
    say stopping
    docker stop "$appliance-leaving" >/dev/null
    moved "$appliance-next" "$appliance"
    say starting
    if starts "$appliance"; then
        finish_upgrade
        exchanging=
        say running "$VERSION" "$appliance"
    else
        say_first start
        last_words "$appliance"
        take_back_upgrade
        say_hint start
        exit 1
    fi
}

rollback() {
    check_engine
    trap interrupted INT TERM HUP
    repair
    if [[ $completed != rollback ]]; then
        there "$appliance" || fail 2 none "$appliance"
        there "$appliance-previous" || fail 2 no_previous
        exchanging=1
        moved "$appliance" "$appliance-newer"
        complete_rollback
        exchanging=
    fi
    say running "$(version_of "$appliance")" "$appliance"
}

uninstall() {
    local one image kept=
    check_engine
    for one in "$appliance" "$appliance-next" "$appliance-leaving" "$appliance-newer" "$appliance-previous"; do
        there "$one" || continue
        kept=$(ask "$one" '{{index .Config.Labels "greenwave.storage"}}')
        image=$(ask "$one" '{{.Config.Image}}')
        docker stop "$one" >/dev/null
        gone "$one"
        docker image rm "$image" >/dev/null 2>&1 || true # another appliance may run on it
    done
    [[ -n $kept ]] || fail 2 none "$appliance"
    kept=${kept#*source=}
    say removed "${kept%%,destination=*}"
}
