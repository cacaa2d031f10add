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
    else
        load_image
        choose_data
        hardened
        create_next
        moved "$appliance-next" "$appliance"
        fresh=1
    fi
    start_appliance
}

start_appliance() { # what does not start is told; if it was made just now, nothing but the data is left of it
    say starting
    if ! docker start "$appliance" >/dev/null || ! is_well "$appliance"; then
        say_first start
        last_words "$appliance"
        if [[ -n $fresh ]]; then gone "$appliance"; fi
        say_hint start
        exit 1
    fi
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
    create_next
    say stopping
    docker stop "$appliance" >/dev/null
    moved "$appliance" "$appliance-leaving"
    moved "$appliance-next" "$appliance"
    say starting
    if docker start "$appliance" >/dev/null && is_well "$appliance"; then
        finish_upgrade
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
    repair
    there "$appliance" || fail 2 none "$appliance"
    if [[ $completed == rollback ]]; then
        say running "$(version_of "$appliance")" "$appliance"
        return
    fi
    there "$appliance-previous" || fail 2 no_previous
    say stopping
    docker stop "$appliance" >/dev/null
    if ! fitting_database "$appliance-previous"; then
        docker start "$appliance" >/dev/null || fail 1 not_back "$appliance" "$appliance"
        fail 1 database "$database_trouble"
    fi
    moved "$appliance" "$appliance-newer"
    moved "$appliance-previous" "$appliance"
    say starting
    if docker start "$appliance" >/dev/null && is_well "$appliance"; then
        finish_rollback
        say running "$(version_of "$appliance")" "$appliance"
    else
        say_first start
        last_words "$appliance"
        take_back_rollback
        say_hint start
        exit 1
    fi
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
