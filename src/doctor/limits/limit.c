#include "doctor/limits/limit.h"

#include "base/check.h"

#include <stdio.h>
#include <string.h>

const struct limit LIMITS[] = {
	/* ---- how many there can be ---- */
	{.key = "descriptors, hard",
	 .kind = LIMIT_HOLDS,
	 .fact = FACT_DESCRIPTORS_HARD,
	 .need = need_table,
	 .way = FIX_DESCRIPTORS,
	 .wanted = wanted_descriptors,
	 .breaks = "accept() fails with EMFILE: new clients wait until they give up"},
	{.key = "descriptors, service",
	 .kind = LIMIT_HOLDS,
	 .fact = FACT_DESCRIPTORS_SERVICE,
	 .optional = true,
	 .need = need_table,
	 .way = FIX_DESCRIPTORS,
	 .wanted = wanted_descriptors,
	 .breaks = "the same, if systemd starts Roost"},
	{.key = "descriptors, login",
	 .kind = LIMIT_HOLDS,
	 .fact = FACT_DESCRIPTORS_LOGIN,
	 .optional = true,
	 .need = need_table,
	 .way = FIX_DESCRIPTORS,
	 .wanted = wanted_descriptors,
	 .breaks = "the same, if Roost is started from a login"},
	{.key = "fs.nr_open",
	 .kind = LIMIT_HOLDS,
	 .fact = FACT_NR_OPEN,
	 .need = need_table,
	 .way = FIX_SYSCTL,
	 .breaks = "no limit on descriptors can be raised above it"},
	{.key = "fs.file-max",
	 .kind = LIMIT_HOLDS,
	 .fact = FACT_FILE_MAX,
	 .need = need_files,
	 .way = FIX_SYSCTL,
	 .breaks = "the whole machine opens no more files or sockets: ENFILE (processes with CAP_SYS_ADMIN excepted)"},
	{.key = "fs.epoll.max_user_watches",
	 .kind = LIMIT_HOLDS,
	 .fact = FACT_EPOLL_WATCHES,
	 .need = need_watches,
	 .way = FIX_SYSCTL,
	 .breaks = "an accepted socket cannot be added to epoll (ENOSPC): its client is turned away"},
	{.key = "memory",
	 .kind = LIMIT_HOLDS,
	 .unit = LIMIT_BYTES,
	 .fact = FACT_MEMORY_AVAILABLE,
	 .need = need_memory,
	 .way = FIX_WORDS,
	 .breaks = "the kernel kills the largest process, which is Roost",
	 .fix = "add memory, or stop other programs that use it"},
	{.key = "memory, control group",
	 .kind = LIMIT_HOLDS,
	 .unit = LIMIT_BYTES,
	 .fact = FACT_GROUP_MEMORY,
	 .optional = true,
	 .need = need_group_memory,
	 .way = FIX_WORDS,
	 .breaks = "the kernel kills Roost; its sockets count against the group too",
	 .fix = "raise it where the container is started: docker run --memory, resources.limits.memory"},
	{.key = "memory, service",
	 .kind = LIMIT_HOLDS,
	 .unit = LIMIT_BYTES,
	 .fact = FACT_MEMORY_SERVICE,
	 .optional = true,
	 .need = need_memory,
	 .way = FIX_SERVICE,
	 .breaks = "the same, if systemd starts Roost",
	 .fix = "MemoryMax"},
	{.key = "address space",
	 .kind = LIMIT_HOLDS,
	 .unit = LIMIT_BYTES,
	 .fact = FACT_ADDRESS_SPACE,
	 .need = need_address,
	 .way = FIX_WORDS,
	 .breaks = "Roost reserves all that it may ever need, and does not start",
	 .fix = "ulimit -v unlimited, before Roost is started; LimitAS=infinity in the unit"},
	{.key = "vm.overcommit_memory",
	 .kind = LIMIT_HOLDS,
	 .fact = FACT_OVERCOMMIT,
	 .apart = true,
	 .have = have_commit,
	 .need = need_commit,
	 .way = FIX_SYSCTL,
	 .wanted = wanted_off,
	 .breaks = "with 2, the kernel promises memory only up to CommitLimit, and Roost cannot grow beyond it"},
	{.key = "vm.max_map_count",
	 .kind = LIMIT_HOLDS,
	 .fact = FACT_MAP_COUNT,
	 .need = need_mappings,
	 .way = FIX_SYSCTL,
	 .breaks = "a shard cannot reserve its memory, and Roost does not start"},
	{.key = "kernel.threads-max",
	 .kind = LIMIT_HOLDS,
	 .fact = FACT_THREADS_MAX,
	 .need = need_machine_threads,
	 .way = FIX_SYSCTL,
	 .breaks = "a shard cannot start: EAGAIN"},
	{.key = "kernel.pid_max",
	 .kind = LIMIT_HOLDS,
	 .fact = FACT_PID_MAX,
	 .need = need_machine_threads,
	 .way = FIX_SYSCTL,
	 .breaks = "a shard cannot start: EAGAIN"},
	{.key = "processes",
	 .kind = LIMIT_HOLDS,
	 .fact = FACT_PROCESSES,
	 .need = need_threads,
	 .way = FIX_WORDS,
	 .breaks = "a shard cannot start: threads count as processes",
	 .fix = "ulimit -u, before Roost is started; LimitNPROC in the unit"},
	{.key = "tasks, control group",
	 .kind = LIMIT_HOLDS,
	 .fact = FACT_GROUP_TASKS,
	 .optional = true,
	 .need = need_group_tasks,
	 .way = FIX_WORDS,
	 .breaks = "a shard cannot start: EAGAIN",
	 .fix = "raise it where the container is started: docker run --pids-limit"},
	{.key = "tasks, service",
	 .kind = LIMIT_HOLDS,
	 .fact = FACT_TASKS_SERVICE,
	 .optional = true,
	 .need = need_threads,
	 .way = FIX_SERVICE,
	 .breaks = "a shard cannot start, if systemd starts Roost",
	 .fix = "TasksMax"},
	{.key = "net.netfilter.nf_conntrack_max",
	 .kind = LIMIT_HOLDS,
	 .fact = FACT_CONNTRACK_MAX,
	 .optional = true,
	 .have = have_conntrack,
	 .need = need_conntrack,
	 .way = FIX_SYSCTL,
	 .breaks = "the kernel drops packets of new connections: \"nf_conntrack: table full\"",
	 .fix = "or do not track them: nft add rule ... notrack"},
	/* ---- how many at the same time ---- */
	{.key = "net.core.somaxconn",
	 .kind = LIMIT_AT_ONCE,
	 .fact = FACT_SOMAXCONN,
	 .need = need_backlog,
	 .way = FIX_SYSCTL,
	 .breaks = "when all clients reconnect at once, SYNs are dropped and sent again after 1, 3 and 7 s",
	 .fix = "give `roost serve` a --backlog as large"},
	{.key = "net.ipv4.tcp_max_syn_backlog",
	 .kind = LIMIT_AT_ONCE,
	 .fact = FACT_SYN_BACKLOG,
	 .have = have_syn_backlog,
	 .need = need_syn_backlog,
	 .way = FIX_SYSCTL,
	 .breaks = "the same, if tcp_syncookies is 0"},
	{.key = "net.ipv4.tcp_mem",
	 .kind = LIMIT_AT_ONCE,
	 .fact = FACT_TCP_PAGES,
	 .words = 3,
	 .need = need_tcp_pages,
	 .way = FIX_SYSCTL,
	 .wanted = wanted_tcp_pages,
	 .breaks = "a message to all clients takes a page for each socket that has data in flight; beyond the limit "
		   "sending stalls"},
	{.key = "net.ipv4.tcp_ehash_entries",
	 .kind = LIMIT_AT_ONCE,
	 .fact = FACT_HASH_BUCKETS,
	 .optional = true,
	 .need = need_hash_buckets,
	 .way = FIX_WORDS,
	 .breaks = "each packet searches a long chain for its socket: connections and pings take up to twice the time",
	 .fix = "thash_entries=N, a power of two, on the kernel's command line; for a network namespace, "
		"net.ipv4.tcp_child_ehash_entries in the one that creates it"},
	{.key = "net.ipv4.tcp_rmem",
	 .kind = LIMIT_AT_ONCE,
	 .unit = LIMIT_BYTES,
	 .fact = FACT_READ_MAX,
	 .words = 3,
	 .apart = true,
	 .have = have_tcp_bytes,
	 .need = need_read_buffers,
	 .way = FIX_SYSCTL,
	 .wanted = wanted_read_buffers,
	 .breaks = "if one client in a hundred fills its buffer, they use up tcp_mem, and all others stall"},
	{.key = "net.ipv4.tcp_wmem",
	 .kind = LIMIT_AT_ONCE,
	 .unit = LIMIT_BYTES,
	 .fact = FACT_WRITE_MAX,
	 .words = 3,
	 .apart = true,
	 .have = have_tcp_bytes,
	 .need = need_write_buffers,
	 .way = FIX_SYSCTL,
	 .wanted = wanted_write_buffers,
	 .breaks = "if one client in a hundred does not read, their buffers use up tcp_mem, and all others stall"},
	/* ---- outgoing connections ---- */
	{.key = "net.ipv4.ip_local_port_range",
	 .kind = LIMIT_OUTGOING,
	 .unit = LIMIT_RANGE,
	 .fact = FACT_PORT_LAST,
	 .words = 2,
	 .apart = true,
	 .have = have_ports,
	 .need = need_ports,
	 .way = FIX_SYSCTL,
	 .wanted = wanted_ports,
	 .breaks = "a load generator or bridge has no port left for another connection from one address to one server",
	 .fix = "or use more source addresses: each has as many ports"},
	/* ---- good, or better changed ---- */
	{.key = "descriptors, soft",
	 .kind = LIMIT_ADVICE,
	 .fact = FACT_DESCRIPTORS_SOFT,
	 .breaks = "nothing: Roost raises it to the hard limit itself"},
	{.key = "private descriptor tables",
	 .kind = LIMIT_ADVICE,
	 .unit = LIMIT_WORDS,
	 .fact = FACT_PRIVATE_TABLES,
	 .good = good_private_tables,
	 .way = FIX_WORDS,
	 .breaks = "the kernel or the container refuses unshare(CLONE_FILES), so all connections share one table",
	 .fix = "allow unshare or close_range in the container's seccomp profile, or raise the limit of descriptors"},
	{.key = "io_uring fixed files",
	 .kind = LIMIT_ADVICE,
	 .unit = LIMIT_WORDS,
	 .fact = FACT_FIXED_FILES,
	 .good = good_fixed_files,
	 .way = FIX_WORDS,
	 .breaks =
		 "sockets that the tables do not hold need more shards than cores, or find no place; with more shards "
		 "a connection costs twice the processor time",
	 .fix = "Linux 6.8 or later; allow io_uring_setup, io_uring_enter and io_uring_register in the container's "
		"seccomp profile"},
	{.key = "kernel.io_uring_disabled",
	 .kind = LIMIT_ADVICE,
	 .fact = FACT_IO_URING_DISABLED,
	 .optional = true,
	 .good = good_io_uring_disabled,
	 .way = FIX_SYSCTL,
	 .wanted = wanted_off,
	 .breaks = "the kernel refuses io_uring fixed files: sockets need more shards than cores, or find no place",
	 .fix = "or set it to 1, and kernel.io_uring_group to a group of the user that Roost runs as"},
	{.key = "CAP_SYS_RESOURCE",
	 .kind = LIMIT_ADVICE,
	 .unit = LIMIT_WORDS,
	 .fact = FACT_CAPABILITIES,
	 .breaks = "nothing: with it a process may raise its own hard limits; without it, somebody else must"},
	{.key = "net.ipv4.tcp_syncookies",
	 .kind = LIMIT_ADVICE,
	 .fact = FACT_SYNCOOKIES,
	 .good = good_syncookies,
	 .way = FIX_SYSCTL,
	 .wanted = wanted_on,
	 .breaks = "a flood of SYNs, or all clients reconnecting at once, locks others out"},
	{.key = "net.ipv4.tcp_tw_reuse",
	 .kind = LIMIT_ADVICE,
	 .fact = FACT_TW_REUSE,
	 .good = good_tw_reuse,
	 .way = FIX_SYSCTL,
	 .wanted = wanted_on,
	 .breaks = "a load generator or bridge waits a minute before it can use a port again"},
	{.key = "net.ipv4.tcp_fin_timeout",
	 .kind = LIMIT_ADVICE,
	 .fact = FACT_FIN_TIMEOUT,
	 .good = good_fin_timeout,
	 .way = FIX_SYSCTL,
	 .wanted = wanted_fin_timeout,
	 .breaks = "sockets that Roost has closed stay for so many seconds when the peer has vanished"},
	{.key = "transparent huge pages",
	 .kind = LIMIT_ADVICE,
	 .unit = LIMIT_WORDS,
	 .fact = FACT_HUGE_PAGES,
	 .good = good_huge_pages,
	 .way = FIX_FILE,
	 .wanted = wanted_huge_pages,
	 .breaks = "with always, each pool takes memory in pieces of 2 MiB, and the kernel pauses it to merge pages"},
	{.key = "clock source",
	 .kind = LIMIT_ADVICE,
	 .unit = LIMIT_WORDS,
	 .fact = FACT_CLOCK_SOURCE,
	 .good = good_clock,
	 .way = FIX_WORDS,
	 .breaks = "each reading of the clock is a system call or an access to a slow device",
	 .fix = "clocksource=tsc on the kernel's command line, or the hypervisor's own clock"},
};

const uint32_t LIMIT_TABLE_SIZE = sizeof(LIMITS) / sizeof(LIMITS[0]);

/* The need and an eighth more, so that the next thousand clients do not need another change. */
#define SPARE_SHARE 8u
#define ROUND_TO 1024u

bool limit_wanted(const struct limit *limit, const struct machine *machine, uint64_t connections, char *wanted)
{
	/* Nothing is wanted of a limit that is for information only: nobody would know where to write it. */
	CHECK(limit->wanted == NULL || limit->way != FIX_NONE);
	if (limit->wanted != NULL)
		return limit->wanted(machine, connections, wanted);
	if (limit->need == NULL)
		return false;
	uint64_t need = limit->need(machine, connections);
	uint64_t value = (need + need / SPARE_SHARE + ROUND_TO - 1) / ROUND_TO * ROUND_TO;
	snprintf(wanted, NEED_WANTED_BYTES, "%llu", (unsigned long long)value);
	return true;
}

/* "always [madvise] never": the word in brackets is set. */
static bool chosen_word(const char *words, char *before)
{
	const char *open = strchr(words, '[');
	const char *close = open != NULL ? strchr(open, ']') : NULL;
	if (close == NULL)
		return false;
	int size = (int)(close - open) - 1;
	if (size == 0 || strspn(open + 1, "abcdefghijklmnopqrstuvwxyz") != (size_t)size)
		return false;
	snprintf(before, NEED_WANTED_BYTES, "%.*s", size, open + 1);
	return true;
}

bool limit_before(const struct limit *limit, const struct machine *machine, char *before)
{
	/* The facts before the limit's own are the words before it. */
	CHECK(limit->words <= limit->fact + 1);
	int size = 0;
	if (limit->way == FIX_FILE)
		return chosen_word(machine->huge_pages, before);
	if (limit->way != FIX_SYSCTL)
		return false;
	uint32_t words = limit->words != 0 ? limit->words : 1;
	for (uint32_t i = 0; i < words; i++) {
		struct reading reading = machine->facts[limit->fact + 1 - words + i];
		if (reading.state != READING_KNOWN)
			return false;
		size += snprintf(before + size, NEED_WANTED_BYTES - (size_t)size, "%s%llu", i > 0 ? " " : "",
				 (unsigned long long)reading.value);
	}
	return (uint32_t)size < NEED_WANTED_BYTES;
}

bool limit_path(const struct limit *limit, char *out)
{
	if (limit->way == FIX_FILE)
		return snprintf(out, LIMIT_PATH_BYTES, "%s", machine_path(limit->fact)) > 0;
	if (limit->way != FIX_SYSCTL)
		return false;
	snprintf(out, LIMIT_PATH_BYTES, "/proc/sys/%s", limit->key);
	for (char *at = out; *at != '\0'; at++) {
		if (*at == '.')
			*at = '/';
	}
	return true;
}
