# SPDX-License-Identifier: GPL-2.0-or-later
# bash completion for damonfs.

# Places of mounts: any text, which compgen -W would expand.
_damonfs_places() {
	local source point type rest
	while read -r source point type rest; do
		# White space is three octal digits there.
		point=$(printf '%b' "${point//\\/\\0}")
		[[ $type != fuse.damonfs || $point != "$cur"* ]] || COMPREPLY+=("$point")
	done </proc/mounts
	compopt -o filenames
}

# The last of a list of -o, with what is before it: -o abi=6.1,lo
_damonfs_options() {
	local options='abi= method= uid= gid= log= sandbox= survive fdstore max_objects= max_kdamonds= max_regions=
		max_handles= max_bytes= max_read= allow_other allow_root auto_unmount fsname= ro noexec noatime'
	local before= last=$1 name word
	[[ $1 != *,* ]] || before=${1%,*}, last=${1##*,}
	name=${last%%=*}
	case $last in
	abi=*) set -- 6.1 6.12 6.18 7.0 7.2 ;;
	method=simulated:*)
		mapfile -t COMPREPLY < <(compgen -P "${before}method=simulated:" -f -- "${last#*:}")
		compopt -o filenames -o nospace
		return
		;;
	method=*) set -- auto idle young softdirty referenced simulated: ;;
	log=*) set -- error info debug ;;
	sandbox=*) set -- errno trap off ;;
	uid=*) mapfile -t COMPREPLY < <(compgen -P "${before}uid=" -u -- "${last#*=}") && return ;;
	gid=*) mapfile -t COMPREPLY < <(compgen -P "${before}gid=" -g -- "${last#*=}") && return ;;
	*=*) return ;;
	*)
		mapfile -t COMPREPLY < <(compgen -P "$before" -W "$options" -- "$last")
		[[ ${#COMPREPLY[@]} != 1 || $COMPREPLY != *= ]] || compopt -o nospace
		return
		;;
	esac
	mapfile -t COMPREPLY < <(compgen -P "$before$name=" -W "$*" -- "${last#*=}")
}

_damonfs_words() {
	mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur")
}

# The first word of the command that is run after $1 other words, or nothing.
_damonfs_command_at() {
	local i others=$1
	for ((i = 2; i < cword; i++)); do
		case ${words[i]} in
		--at | --only | --pid | -o) ((i++)) ;;
		--) ((others)) || { echo $((i + 1)) && return; } ;;
		-*) ;;
		*) ((others--)) || { echo "$i" && return; } ;;
		esac
	done
}

_damonfs_exec() {
	local at
	at=$(_damonfs_command_at 0)
	case $prev in
	--at) [[ $at ]] || { _damonfs_places && return; } ;;
	--only) [[ $at ]] || { _damonfs_words 'sysfs debugfs' && return; } ;;
	esac
	if [[ $at ]]; then
		_command_offset "$at"
	elif [[ $cur == -* ]]; then
		_damonfs_words '--at --only -o --help --'
	else
		mapfile -t COMPREPLY < <(compgen -c -- "$cur")
	fi
}

_damonfs_lend() {
	local at
	at=$(_damonfs_command_at 1)
	if [[ $at ]]; then
		_command_offset "$at"
	elif [[ $prev == --pid ]]; then
		_pids
	elif [[ $cur == -* ]]; then
		_damonfs_words '--pid -o --help --'
	else
		_filedir -d
		((cword == 2)) || mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -c -- "$cur")
	fi
}

_damonfs() {
	local cur prev words cword
	# Values have = and : in them.
	_init_completion -n =: || return
	[[ $prev != -o || ${words[1]} == @(status|upgrade|check) ]] || {
		_damonfs_options "$cur"
		# Where these part words, readline replaces only what is behind them.
		__ltrim_colon_completions "$cur"
		local i
		[[ $COMP_WORDBREAKS != *=* || $cur != *=* ]] || for i in "${!COMPREPLY[@]}"; do
			COMPREPLY[i]=${COMPREPLY[i]#"${cur%=*}="}
		done
		return
	}
	case ${words[1]}:$cword in
	*:1) ;;
	exec:*) _damonfs_exec && return ;;
	lend:*) _damonfs_lend && return ;;
	status:*) if [[ $cur == -* ]]; then _damonfs_words '--json --help'; else _damonfs_places; fi && return ;;
	upgrade:*) if [[ $cur == -* ]]; then _damonfs_words --help; else _damonfs_places; fi && return ;;
	check:*) if [[ $cur == -* ]]; then _damonfs_words '--json --help'; else _pids; fi && return ;;
	esac
	if [[ $cur == -* ]]; then
		_damonfs_words '-o -f -d -h --help -V --version'
	else
		_filedir -d
		((cword > 1)) || mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(
			compgen -W 'check exec lend status upgrade' -- "$cur")
	fi
}

complete -F _damonfs damonfs
