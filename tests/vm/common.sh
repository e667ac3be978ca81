# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the scripts in tests/vm share.  To be sourced.
#
# Promises: $vm_cache is a directory outside the checkout; nothing here writes
# anywhere else; messages go to stderr only.

vm_cache=${DAMONFS_CACHE:-${XDG_CACHE_HOME:-${HOME:?}/.cache}/damonfs}/vm
vm_cache=$(realpath -m "$vm_cache")
mkdir -p "$vm_cache/locks"

# Where kmod's programs are, and a user need not look.
PATH=$PATH:/usr/sbin:/sbin

# Exit statuses of these scripts' own, as timeout(1) and env(1) have them.
# shellcheck disable=SC2034
vm_skipped=77 vm_timeout=124 vm_broken=125

say() {
	printf 'tests/vm: %s\n' "$*" >&2
}

fail() {
	say "$*"
	exit "$vm_broken"
}

skip() {
	say "SKIPPED: $*"
	exit "$vm_skipped"
}

# need PROGRAM=PACKAGE...: go on only if all of these programs are here.  With
# DAMONFS_VM_INSTALL=1 missing ones are installed, otherwise that is a skip.
need() {
	local pair missing=()
	for pair; do
		type -P "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
	done
	((${#missing[@]})) || return 0
	if [[ ${DAMONFS_VM_INSTALL:-} != 1 ]]; then
		skip "missing here: apt-get install --no-install-recommends ${missing[*]}" \
			"(DAMONFS_VM_INSTALL=1 does it by itself)"
	fi
	say "installing ${missing[*]}"
	apt_update
	DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
		"${missing[@]}" >&2 </dev/null || skip "cannot install ${missing[*]}"
}

apt_update() {
	((EUID == 0)) && type -P apt-get >/dev/null || return 0
	apt-get -qq update >&2 </dev/null || say "apt-get update failed; going on with what there is"
}

# lock NAME: hold that lock until this shell ends (and what it starts, unless that closes
# descriptor 9); waits for another holder.
lock() {
	exec 9>"$vm_cache/locks/$1"
	flock -n 9 && return
	say "waiting for another process that makes $1"
	flock 9
}

# guest_path PATH: where PATH lies in a guest, whose /bin, /sbin, /lib and /lib64
# are links to those in /usr.
guest_path() {
	case $1 in
	/bin/* | /sbin/* | /lib/* | /lib64/*) printf '/usr%s\n' "$1" ;;
	*) printf '%s\n' "$1" ;;
	esac
}

# is_elf FILE
is_elf() {
	local magic=
	IFS= LC_ALL=C read -r -n 4 magic <"$1" 2>/dev/null || true
	[[ $magic == $'\x7fELF' ]]
}

# stage_libraries DIR FILE...: put the shared libraries of these ELF files below DIR.  A
# library that is not to be found is no more than a message: not every file has to run.
stage_libraries() {
	local dir=$1 lib to
	shift
	(($#)) || return 0
	while read -r lib; do
		if [[ $lib == missing:* ]]; then
			say "not found here, so not in the guest either: ${lib#missing:}"
			continue
		fi
		to=$dir$(guest_path "$lib")
		[[ -e $to ]] && continue
		mkdir -p "${to%/*}"
		cp -L --preserve=mode,timestamps "$lib" "$to"
		# The guest has no ld.so.cache: what that led to must lie where ld.so looks.
		case $lib in
		/lib/* | /lib64/* | /usr/lib/*) ;;
		*)
			mkdir -p "$dir/usr/lib"
			[[ -e $dir/usr/lib/${lib##*/} ]] || ln -s "$lib" "$dir/usr/lib/${lib##*/}"
			;;
		esac
	done < <(ldd "$@" 2>/dev/null | awk '
		/=> not found/ { print "missing:" $1 }
		/=> \// { print $3 }
		/^\t\// && !/=>/ && !/:$/ { print $1 }' | sort -u)
}

# pack DIR FILE: make a cpio archive for the kernel of all that is below DIR.
pack() {
	(cd "$1" && find . -mindepth 1 -print0 | cpio --quiet --null -o -H newc -R +0:+0) >"$2"
}
