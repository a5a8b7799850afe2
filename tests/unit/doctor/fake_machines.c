/* Files as Debian 12 and containers on it really have them, shortened to the lines that are read and their neighbours.
 */
#include "fake_root.h"

#define LIMITS_FILE(files_soft, files_hard, processes)                                                                 \
	"Limit                     Soft Limit           Hard Limit           Units     \n"                             \
	"Max cpu time              unlimited            unlimited            seconds   \n"                             \
	"Max stack size            8388608              unlimited            bytes     \n"                             \
	"Max processes             " processes "                " processes "                processes \n"             \
	"Max open files            " files_soft "                 " files_hard "              files     \n"            \
	"Max address space         unlimited            unlimited            bytes     \n"

#define SLABINFO                                                                                                       \
	"slabinfo - version: 2.1\n"                                                                                    \
	"# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit>\n"        \
	"TCP                  120    130   2368   13    8 : tunables    0    0    0 : slabdata     10     10      0\n" \
	"sock_inode_cache    2000   2340    832   39    8 : tunables    0    0    0 : slabdata     60     60      0\n" \
	"dentry             55838  59955    192   21    1 : tunables    0    0    0 : slabdata   2855   2855      0\n" \
	"filp                3000   3360    192   21    1 : tunables    0    0    0 : slabdata    160    160      0\n" \
	"eventpoll_epi         64     64    128   32    1 : tunables    0    0    0 : slabdata      2      2      0\n"

const struct fake_file FAKE_DEBIAN[] = {
	{"/proc/self/limits", LIMITS_FILE("1024", "1048576", "31000")},
	{"/proc/self/status",
	 "Name:\troost\nCapEff:\t0000000000000000\nSeccomp:\t0\nCpus_allowed:\tf\nCpus_allowed_list:\t0-3\n"},
	{"/proc/self/cgroup", "0::/user.slice/user-1000.slice/session-1.scope\n"},
	{"/sys/fs/cgroup/user.slice/memory.max", "max\n"},
	{"/sys/fs/cgroup/user.slice/memory.current", "104857600\n"},
	{"/sys/fs/cgroup/user.slice/user-1000.slice/pids.max", "20480\n"},
	{"/sys/fs/cgroup/user.slice/user-1000.slice/pids.current", "40\n"},
	{"/proc/sys/fs/file-max", "9223372036854775807\n"},
	{"/proc/sys/fs/file-nr", "1504\t0\t9223372036854775807\n"},
	{"/proc/sys/fs/nr_open", "1048576\n"},
	{"/proc/sys/fs/epoll/max_user_watches", "1796000\n"},
	{"/proc/sys/net/core/somaxconn", "4096\n"},
	{"/proc/sys/net/ipv4/tcp_max_syn_backlog", "512\n"},
	{"/proc/sys/net/ipv4/tcp_syncookies", "1\n"},
	{"/proc/sys/net/ipv4/tcp_tw_reuse", "2\n"},
	{"/proc/sys/net/ipv4/tcp_fin_timeout", "60\n"},
	{"/proc/sys/net/ipv4/tcp_ehash_entries", "262144\n"},
	{"/proc/sys/net/ipv4/ip_local_port_range", "32768\t60999\n"},
	{"/proc/sys/net/ipv4/tcp_mem", "91233\t121645\t182466\n"},
	{"/proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456\n"},
	{"/proc/sys/net/ipv4/tcp_wmem", "4096\t16384\t4194304\n"},
	{"/proc/sys/net/netfilter/nf_conntrack_max", "262144\n"},
	{"/proc/sys/net/netfilter/nf_conntrack_count", "44\n"},
	{"/proc/net/sockstat", "sockets: used 160\nTCP: inuse 40 orphan 0 tw 2 alloc 42 mem 3\n"},
	{"/proc/meminfo", "MemTotal:        8142516 kB\nMemFree:          512000 kB\nMemAvailable:    6291456 kB\n"
			  "CommitLimit:     5092000 kB\nCommitted_AS:    1048576 kB\n"},
	{"/proc/sys/vm/overcommit_memory", "0\n"},
	{"/proc/sys/vm/max_map_count", "65530\n"},
	{"/proc/sys/kernel/threads-max", "63000\n"},
	{"/proc/sys/kernel/pid_max", "4194304\n"},
	{"/proc/loadavg", "0.42 0.30 0.25 3/217 9301\n"},
	{"/sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n"},
	{"/sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n"},
	{"/proc/slabinfo", SLABINFO},
	{"/sys/class/net/lo/address", "00:00:00:00:00:00\n"},
	{"/sys/class/net/eth0/speed", "1000\n"},
	{"/sys/class/net/eth1/speed", "-1\n"},
	{"/etc/systemd/system.conf", "[Manager]\n#DefaultLimitNOFILE=\n"},
	{"/lib/systemd/system/roost.service", "[Unit]\nDescription=x\n[Service]\nExecStart=/usr/bin/roost serve\n"},
	{"/etc/security/limits.conf", "# <domain> <type> <item> <value>\n#*  hard  nofile  5\n"},
	{NULL, NULL},
};

const struct fake_file FAKE_CONTAINER[] = {
	{"/proc/self/limits", LIMITS_FILE("1024", "4096", "unlimited")},
	{"/proc/self/status", "CapEff:\t00000000a80425fb\nSeccomp:\t2\nCpus_allowed:\tffff\n"},
	{"/proc/self/cgroup", "0::/\n"},
	{"/sys/fs/cgroup/memory.max", "536870912\n"},
	{"/sys/fs/cgroup/memory.current", "104857600\n"},
	{"/sys/fs/cgroup/memory.stat", "anon 50331648\nfile 54525952\ninactive_file 52428800\n"},
	{"/sys/fs/cgroup/pids.max", "100\n"},
	{"/sys/fs/cgroup/pids.current", "7\n"},
	{"/sys/fs/cgroup/cpu.max", "50000 100000\n"},
	{"/proc/sys/fs/file-max", "1000000\n"},
	{"/proc/sys/fs/file-nr", "9000 0 1000000\n"},
	{"/proc/sys/fs/nr_open", "1048576\n"},
	{"/proc/sys/net/core/somaxconn", "128\n"},
	{"/proc/sys/net/ipv4/tcp_max_syn_backlog", "1024\n"},
	{"/proc/sys/net/ipv4/tcp_syncookies", "1\n"},
	{"/proc/sys/net/ipv4/ip_local_port_range", "32768 60999\n"},
	{"/proc/meminfo", "MemTotal:       65536000 kB\nMemAvailable:   50000000 kB\n"},
	{"/proc/sys/vm/overcommit_memory", "1\n"},
	{"/proc/sys/vm/max_map_count", "65530\n"},
	{"/proc/sys/kernel/io_uring_disabled", "2\n"},
	{"/proc/loadavg", "0.00 0.00 0.00 1/900 7\n"},
	{"/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n"},
	{"/sys/devices/system/clocksource/clocksource0/current_clocksource", "xen\n"},
	{NULL, NULL},
};

const struct fake_file FAKE_TUNED[] = {
	{"/proc/self/limits", LIMITS_FILE("1048576", "4194304", "unlimited")},
	{"/proc/self/status", "CapEff:\t000001ffffffffff\nSeccomp:\t0\nCpus_allowed:\tffffffff,ffffffff\n"},
	{"/proc/sys/fs/file-max", "20000000\n"},
	{"/proc/sys/fs/file-nr", "2000 0 20000000\n"},
	{"/proc/sys/fs/nr_open", "4194304\n"},
	{"/proc/sys/fs/epoll/max_user_watches", "14000000\n"},
	{"/proc/sys/net/core/somaxconn", "65535\n"},
	{"/proc/sys/net/ipv4/tcp_max_syn_backlog", "65535\n"},
	{"/proc/sys/net/ipv4/tcp_syncookies", "0\n"},
	{"/proc/sys/net/ipv4/tcp_tw_reuse", "1\n"},
	{"/proc/sys/net/ipv4/tcp_fin_timeout", "15\n"},
	{"/proc/sys/net/ipv4/tcp_ehash_entries", "8388608\n"},
	{"/proc/sys/net/ipv4/ip_local_port_range", "1024 65535\n"},
	{"/proc/sys/net/ipv4/tcp_mem", "2097152 3145728 4194304\n"},
	{"/proc/sys/net/ipv4/tcp_rmem", "4096 16384 262144\n"},
	{"/proc/sys/net/ipv4/tcp_wmem", "4096 16384 262144\n"},
	{"/proc/meminfo", "MemTotal:       65536000 kB\nMemAvailable:   60000000 kB\n"
			  "CommitLimit:    60000000 kB\nCommitted_AS:     500000 kB\n"},
	{"/proc/sys/vm/overcommit_memory", "2\n"},
	{"/proc/sys/vm/max_map_count", "1000000\n"},
	{"/proc/sys/kernel/threads-max", "500000\n"},
	{"/proc/sys/kernel/pid_max", "4194304\n"},
	{"/proc/loadavg", "0.00 0.00 0.00 1/500 7\n"},
	{"/sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]\n"},
	{"/sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n"},
	{"/proc/slabinfo", SLABINFO},
	{NULL, NULL},
};
