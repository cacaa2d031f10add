#!/usr/bin/env bash
# Installs Greenwave from this folder. Nothing is loaded before the signature and every checksum have been verified.
#
#   bash install.sh --signers FILE             verify, load the image, start the appliance; a second time changes nothing
#   bash install.sh --check --signers FILE     verify only
#   bash install.sh --upgrade --signers FILE   verify, load, exchange the running version for this one; what was there comes back if it fails
#   bash install.sh --rollback                 the version from before the last upgrade, with the database from before it
#   bash install.sh --uninstall                remove the appliance and its images; the data stays
#
#   --signers FILE       who may sign a bundle; this file must have come another way than the bundle
#   --fingerprint TEXT   instead of --signers: the fingerprint of the signing key (SHA256:...), read from paper or over the telephone
#   --data FOLDER        where everything is kept, instead of the volume greenwave
#   --media FOLDER       where media are mounted (read-only inside), instead of /media
#   --memory SIZE        most memory the appliance may use (24g), instead of all but 4 GB
#   --name NAME          name of the appliance and its volume, instead of greenwave
#   --lang zh|en         language, instead of the locale's
#
# Needs bash, coreutils, awk, grep, find, flock and ssh-keygen (OpenSSH 8.2 or newer), for everything but --check a Docker engine, and no network.
# Exit codes: 0 done, 1 failed, 2 wrong use or something missing, 3 bundle refused, 4 no room or no GPU driver, 5 busy, 130 interrupted.
set -euo pipefail
umask 077

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
# A copy that went wrong is named here, where it could not do so itself; against intent only the signature helps.
if ! (cd -- "$here" && grep -E '  install(\.sh|/[a-z]+\.sh)$' SHA256SUMS | sha256sum --check --strict --quiet) >&2; then
    printf '%s\n' 'The bundle is refused: its installer is not what SHA256SUMS lists. 安装包被拒绝：安装程序与 SHA256SUMS 不符。' \
        'Hint: install nothing from it; copy the whole folder again. 提示：请勿安装；请重新复制整个文件夹。' >&2
    exit 3
fi
# shellcheck source=install/words.sh
source "$here/install/words.sh"
# shellcheck source=install/verifying.sh
source "$here/install/verifying.sh"
# shellcheck source=install/appliance.sh
source "$here/install/appliance.sh"
# shellcheck source=install/actions.sh
source "$here/install/actions.sh"

read_arguments() {
    local option
    while (($#)); do
        option=$1
        shift
        case $option in
            --help | -h)
                sed -n '2,/^set /{/^#/!d;s/^# \{0,1\}//;p}' "$here/install.sh"
                exit 0
                ;;
            --check | --upgrade | --rollback | --uninstall)
                [[ $action == install ]] || fail 2 usage "$option"
                action=${option#--}
                ;;
            --signers | --fingerprint | --data | --media | --memory | --name | --lang)
                (($#)) && [[ -n $1 ]] || fail 2 usage "$option"
                case $option in
                    --media) media=$1 media_chosen=1 ;;
                    --lang) language=$1 ;;
                    --name) appliance=$1 ;;
                    *) printf -v "${option#--}" %s "$1" ;;
                esac
                shift
                ;;
            *) fail 2 usage "$option" ;;
        esac
    done
    [[ $appliance =~ ^[A-Za-z0-9][A-Za-z0-9_.-]*$ ]] || fail 2 usage "--name $appliance"
    [[ -z $memory || $memory =~ ^[1-9][0-9]*[kmgKMG]?$ ]] || fail 2 usage "--memory $memory"
    [[ $data$media != *[,:$'\n']* ]] || fail 2 usage "$data $media"
    [[ $language == zh || $language == en ]] || { language=en && fail 2 usage --lang; }
}

main() {
    action=install appliance=greenwave signers='' fingerprint='' data='' media=/media media_chosen='' memory='' language=en database_trouble=''
    fresh='' exchanging='' kept_database=''
    local locale=${LC_ALL:-${LC_MESSAGES:-${LANG:-}}}
    if [[ $locale == zh* ]]; then language=zh; fi
    read_arguments "$@"
    inside=$language
    zone=$(time_zone)
    need sha256sum ssh-keygen find flock realpath stat df awk grep
    alone
    case $action in
        check) check ;;
        install) install ;;
        upgrade) upgrade ;;
        rollback) rollback ;;
        uninstall) uninstall ;;
    esac
}

main "$@"
exit
