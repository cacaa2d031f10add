# shellcheck shell=bash
# What install.sh says, in English and Chinese: a sentence, and for errors a bar and a hint.

declare -A EN=(
    [usage]='Wrong use: %s.|bash install.sh --help shows what it takes.'
    [tool]='The program %s is missing on this machine.|Install it from the medium of your system (Debian, Ubuntu: packages coreutils, findutils, util-linux, openssh-client, docker.io).'
    [engine]='The Docker engine does not answer: %s|Start it (systemctl start docker) and run this as root or as a member of the group docker.'
    [who]='It is not said whose signature counts.|Give --signers FILE or --fingerprint SHA256:...; both have to come another way than this folder (INSTALL.md, step 2).'
    [signers_inside]='%s lies in the bundle that it is to vouch for.|Use the file that came to you another way.'
    [unreadable]='%s cannot be read.|Check the path, and that the medium is still there.'
    [incomplete]='%s is missing from this folder.|Copy the whole folder again; install nothing from this one.'
    [signature]='The signature of this bundle is not valid: %s|Install nothing from it. Get the bundle again, and compare the key with whoever signed it.'
    [fingerprint]='The bundle was signed with another key: %s|Install nothing from it. Compare the fingerprint with whoever signed it.'
    [sums]='SHA256SUMS has a line that is none: %s|Install nothing from this folder; report it to whoever signed it.'
    [refused]='The bundle is refused:|Install nothing from it. Copy the whole folder again from its origin; if that does not help, report it to whoever signed it.'
    [changed]='  changed: %s'
    [missing]='  missing: %s'
    [additional]='  not part of the bundle: %s'
    [not_plain]='  not a plain file: %s'
    [room]='%s has %s MB free, and %s MB are needed.|Make room there and start again; nothing was changed.'
    [copy]='%s could not be copied.|Check that the medium is still there and that %s has room; nothing was changed.'
    [driver]='This bundle is for NVIDIA GPUs, and this machine has no NVIDIA driver.|Install driver %s or newer, or use the bundle for processors (cpu).'
    [driver_old]='The NVIDIA driver %s is too old; %s or newer is needed.|Install a newer driver, or use the bundle for processors (cpu).'
    [busy]='Another installation is at work.|Wait for its end and try again.'
    [lock]='%s cannot be used to keep other installations away.|It has to be a plain file that you may read, or a place where you may make one: remove what is there, or ask its owner.'
    [load]='The image could not be loaded: %s|The reason is the engine'\''s; nothing else was changed.'
    [other]='%s %s is installed, and this bundle is %s.|Use --upgrade.'
    [stays]='It is installed already and keeps what was chosen then; to choose anew, --uninstall and install again (the data stays).'
    [none]='No appliance named %s is installed.|Use install.sh without --upgrade, --rollback or --uninstall.'
    [no_previous]='There is no version to go back to.|Only an upgrade leaves one.'
    [data_owner]='%s belongs to root and is not empty; the appliance does not run as root.|Give it to the user the appliance shall run as (chown -R 10001:10001 FOLDER), or choose another folder.'
    [data_folder]='%s cannot be used for the data.|It has to be a folder that you may make or change; choose another one with --data.'
    [start]='The appliance did not start; its last words:|See above. The data is untouched.'
    [came_back]='%s runs again as before.'
    [not_back]='%s could not be put back into service.|The data is untouched. See docker ps -a and docker logs %s.'
    [database]='The database could not be put back: %s|The data is untouched and the newer version runs again.'
    [verifying]='Verifying the signature and %s files ...'
    [verified]='The bundle is complete and unchanged: Greenwave %s (%s), signed by %s.'
    [loading]='Loading the image ...'
    [starting]='Starting ...'
    [stopping]='Stopping (runs save their state) ...'
    [restored]='The database from before the upgrade is in use again; the newer one is kept beside it (greenwave database show).'
    [no_media]='There is no folder %s; media cannot be imported from until you start again with --media.'
    [later_media]='This machine does not share its mounts: a medium that is mounted below %s later is seen after docker restart only.'
    [repaired]='An installation that was interrupted was taken back or completed.'
    [running]='Greenwave %s runs as %s.'
    [use]='Open it: docker exec -it %s greenwave'
    [removed]='Greenwave was removed. The data is still in %s.'
    [hint]='Hint: '
)
declare -A ZH=(
    [usage]='用法不对：%s。|bash install.sh --help 说明用法。'
    [tool]='本机缺少程序 %s。|请从系统安装介质安装（Debian、Ubuntu 的软件包：coreutils、findutils、util-linux、openssh-client、docker.io）。'
    [engine]='Docker 引擎没有应答：%s|请启动它（systemctl start docker），并以 root 或 docker 组成员的身份运行。'
    [who]='没有说明以谁的签名为准。|请给出 --signers 文件 或 --fingerprint SHA256:...；两者都必须经由本文件夹以外的途径取得（INSTALL.zh-CN.md 第 2 步）。'
    [signers_inside]='%s 就在要由它担保的安装包里。|请使用经由其他途径取得的文件。'
    [unreadable]='无法读取 %s。|请检查路径以及介质是否还在。'
    [incomplete]='本文件夹缺少 %s。|请重新复制整个文件夹；不要用这个文件夹安装。'
    [signature]='安装包的签名无效：%s|请勿安装。请重新取得安装包，并与签名者核对密钥。'
    [fingerprint]='安装包是用另一把密钥签名的：%s|请勿安装。请与签名者核对指纹。'
    [sums]='SHA256SUMS 中有一行不合格式：%s|请勿用这个文件夹安装，并告知签名者。'
    [refused]='安装包被拒绝：|请勿安装。请从来源重新复制整个文件夹；仍然如此时请告知签名者。'
    [changed]='  被改动：%s'
    [missing]='  缺少：%s'
    [additional]='  不属于安装包：%s'
    [not_plain]='  不是普通文件：%s'
    [room]='%s 只剩 %s MB，需要 %s MB。|请腾出空间后重试；没有任何改动。'
    [copy]='无法复制 %s。|请检查介质是否还在、%s 是否有空间；没有任何改动。'
    [driver]='这个安装包用于 NVIDIA 显卡，而本机没有 NVIDIA 驱动。|请安装 %s 或更新的驱动，或使用处理器版（cpu）安装包。'
    [driver_old]='NVIDIA 驱动 %s 太旧；需要 %s 或更新版本。|请安装更新的驱动，或使用处理器版（cpu）安装包。'
    [busy]='另一个安装正在进行。|请等它结束后重试。'
    [lock]='%s 无法用来防止多个安装同时进行。|它必须是您可以读取的普通文件，或您可以建立文件的位置；请删除已有的内容，或联系其所有者。'
    [load]='无法载入镜像：%s|原因来自引擎；其他没有任何改动。'
    [other]='已安装 %s %s，而这个安装包是 %s。|请使用 --upgrade。'
    [stays]='设备已经安装，沿用当时的选择；要重新选择，请先 --uninstall 再安装（数据保留）。'
    [none]='没有安装名为 %s 的设备。|请运行不带 --upgrade、--rollback、--uninstall 的 install.sh。'
    [no_previous]='没有可以回退的版本。|只有升级才会留下之前的版本。'
    [data_owner]='%s 属于 root 且不为空；设备不以 root 身份运行。|请把它交给设备的用户（chown -R 10001:10001 文件夹），或另选文件夹。'
    [data_folder]='%s 不能用来存放数据。|它必须是您可以建立或更改的文件夹；请用 --data 另选。'
    [start]='设备没有启动；它最后的输出：|见上文。数据没有改动。'
    [came_back]='%s 已恢复为之前的状态并运行。'
    [not_back]='%s 无法恢复运行。|数据没有改动。请看 docker ps -a 和 docker logs %s。'
    [database]='无法恢复数据库：%s|数据没有改动，较新的版本重新运行。'
    [verifying]='正在核对签名和 %s 个文件……'
    [verified]='安装包完整且未被改动：绿波 %s（%s），签名者 %s。'
    [loading]='正在载入镜像……'
    [starting]='正在启动……'
    [stopping]='正在停止（运行会保存状态）……'
    [restored]='升级之前的数据库已恢复使用；较新的数据库保留在旁边（greenwave database show）。'
    [no_media]='没有文件夹 %s；在用 --media 重新启动之前无法从介质导入。'
    [later_media]='本机不共享挂载：以后挂载到 %s 之下的介质，要在 docker restart 之后才能看到。'
    [repaired]='已撤回或完成一次被中断的安装。'
    [running]='绿波 %s 正在运行，名称为 %s。'
    [use]='打开：docker exec -it %s greenwave'
    [removed]='绿波已卸载。数据仍在 %s。'
    [hint]='提示：'
)

# ── words ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

sentence() { # KEY
    if [[ $language == zh ]]; then printf '%s' "${ZH[$1]}"; else printf '%s' "${EN[$1]}"; fi
}

say() { # KEY [PARAMETER...]: one line on standard error
    local format
    format=$(sentence "$1")
    # Parameters may come from a medium: nothing of them reaches the terminal as a command.
    # shellcheck disable=SC2059 # the formats are the tables above
    printf "${format}\n" "${@:2}" | LC_ALL=C tr -d '\000-\010\013-\037\177' >&2
}

fail() { # EXIT-CODE KEY [PARAMETER...]: the sentence, its hint, and the end
    local text
    # shellcheck disable=SC2059 # the formats are the tables above
    text=$(printf "$(sentence "$2")" "${@:3}" | LC_ALL=C tr -d '\000-\010\013-\037\177')
    printf '%s\n%s%s\n' "${text%|*}" "$(sentence hint)" "${text##*|}" >&2
    exit "$1"
}
