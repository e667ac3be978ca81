# SPDX-License-Identifier: GPL-2.0-or-later
# fish completion for damonfs.

function __damonfs_mounts
	string match -r '^\S+ \S+ fuse\.damonfs ' </proc/mounts | while read -l source point rest
		printf '%b\n' (string replace -a '\\' '\\0' -- $point)
	end
end

function __damonfs_options
	# The last of a list, with what is before it.
	set -l before (string match -r '^.*,' -- (commandline -ct))
	set -q before[1]; or set before ''
	printf '%s\n' $before{abi=6.1,abi=6.12,abi=6.18,abi=7.0,abi=7.2}\tkernel \
		$before{method=auto,method=idle,method=young,method=softdirty,method=referenced,method=simulated:}\t'how to see accesses' \
		$before{log=error,log=info,log=debug}\t'how much is logged' \
		$before{sandbox=errno,sandbox=trap,sandbox=off}\t'other system calls' \
		$before{uid=,gid=}\t'owner of the tree' \
		$before{max_objects=,max_kdamonds=,max_regions=,max_handles=,max_bytes=}\t'most of a user' \
		"$before"max_read=\t'bytes of a request' \
		"$before"survive\t'another daemon goes on if it is killed' \
		"$before"fdstore\t'also if the service is restarted' \
		$before{allow_other,allow_root}\t'who may enter' \
		"$before"auto_unmount\t'unmount if the process ends' \
		"$before"fsname=\t'name in /proc/mounts' \
		$before{ro,noexec,noatime}\t'of the mount'
end

set -l commands check exec lend status upgrade
set -l none "not __fish_seen_subcommand_from $commands"

complete -c damonfs -f
complete -c damonfs -n $none -a exec -d 'Run a command where the trees are at their usual places'
complete -c damonfs -n $none -a lend -d 'Mount for a damonfs that may not mount'
complete -c damonfs -n $none -a status -d 'Say how mounts are doing'
complete -c damonfs -n $none -a upgrade -d 'Have mounts go on with the damonfs that is installed'
complete -c damonfs -n $none -a check -d 'Say what works here'
complete -c damonfs -n $none -a '(__fish_complete_directories)'
complete -c damonfs -n $none -s f -d 'Stay in the foreground'
complete -c damonfs -n $none -s d -d 'The same, with debugging output'
complete -c damonfs -n $none -s V -l version -d 'Print the version'
complete -c damonfs -s h -l help -d 'Print help'
complete -c damonfs -n "not __fish_seen_subcommand_from status upgrade check" -s o -x -a '(__damonfs_options)' -d 'Options of the mount'
complete -c damonfs -n '__fish_seen_subcommand_from exec' -l at -x -a '(__damonfs_mounts)' -d 'Use the damonfs that is mounted there'
complete -c damonfs -n '__fish_seen_subcommand_from exec' -l only -x -a 'sysfs debugfs' -d 'The tree to show'
complete -c damonfs -n '__fish_seen_subcommand_from exec' -x -a '(__fish_complete_subcommand --fcs-skip=2)'
complete -c damonfs -n '__fish_seen_subcommand_from lend' -l pid -x -a '(__fish_complete_pids)' -d 'The process whose pids count'
complete -c damonfs -n '__fish_seen_subcommand_from lend; and test (count (commandline -opc)) -eq 2' -x -a '(__fish_complete_directories)' -d 'Mount point'
complete -c damonfs -n '__fish_seen_subcommand_from lend; and test (count (commandline -opc)) -gt 2' -x -a '(__fish_complete_subcommand --fcs-skip=3)'
complete -c damonfs -n '__fish_seen_subcommand_from status upgrade' -a '(__damonfs_mounts)' -d 'Mount point'
complete -c damonfs -n '__fish_seen_subcommand_from status check' -l json -d 'For programs'
complete -c damonfs -n '__fish_seen_subcommand_from check' -a '(__fish_complete_pids)'
