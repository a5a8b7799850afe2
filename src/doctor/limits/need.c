#include "doctor/limits/need.h"

#include "base/check.h"
#include "doctor/limits/sizing.h"

#include <stdio.h>
#include <string.h>

/* Files that other programs may open meanwhile. */
#define FILES_SPARE 1024u
/* The limit in the unit that comes with Roost: with it, tables hold a million without io_uring. */
#define DESCRIPTORS_WANTED ((uint64_t)1 << 20)
#define PORT_FIRST_WANTED 10240u
#define PORT_LAST_WANTED 65535u
/* A socket's buffer must still hold what a fast client has in flight. */
#define BUFFER_BYTES_LEAST ((uint64_t)256 << 10)
#define FIN_TIMEOUT_S_MOST 60u
/* Page tables and the rest of the machine need memory too: TCP is not offered more than one half. */
#define TCP_MEMORY_SHARE 2u
#define OVERCOMMIT_NEVER 2u

static uint64_t bound(const struct machine *machine, enum fact fact)
{
	return reading_bound(machine->facts[fact]);
}

static uint64_t used(const struct machine *machine, enum fact fact)
{
	return reading_used(machine->facts[fact]);
}

/* ---- what is needed ---- */

uint64_t need_table(const struct machine *machine, uint64_t connections)
{
	return sizing_table(machine, connections);
}

uint64_t need_files(const struct machine *machine, uint64_t connections)
{
	return used(machine, FACT_FILES_USED) + connections + FILES_SPARE;
}

uint64_t need_watches(const struct machine *machine, uint64_t connections)
{
	return connections + sizing_threads(machine, connections) * 4;
}

uint64_t need_threads(const struct machine *machine, uint64_t connections)
{
	return sizing_threads(machine, connections);
}

uint64_t need_machine_threads(const struct machine *machine, uint64_t connections)
{
	return used(machine, FACT_THREADS_USED) + sizing_threads(machine, connections);
}

uint64_t need_group_tasks(const struct machine *machine, uint64_t connections)
{
	return used(machine, FACT_GROUP_TASKS_USED) + sizing_threads(machine, connections);
}

uint64_t need_memory(const struct machine *machine, uint64_t connections)
{
	return sizing_memory_bytes(machine, connections);
}

uint64_t need_group_memory(const struct machine *machine, uint64_t connections)
{
	return used(machine, FACT_GROUP_MEMORY_USED) + sizing_memory_bytes(machine, connections);
}

uint64_t need_address(const struct machine *machine, uint64_t connections)
{
	return sizing_address_bytes(machine, connections);
}

uint64_t need_commit(const struct machine *machine, uint64_t connections)
{
	return used(machine, FACT_COMMIT_USED) + sizing_commit_bytes(machine, connections);
}

uint64_t need_mappings(const struct machine *machine, uint64_t connections)
{
	return sizing_mappings(machine, connections);
}

uint64_t need_conntrack(const struct machine *machine, uint64_t connections)
{
	return used(machine, FACT_CONNTRACK_USED) + connections;
}

uint64_t need_backlog(const struct machine *machine, uint64_t connections)
{
	(void)machine;
	return (connections + NEED_WAITING_SHARE - 1) / NEED_WAITING_SHARE;
}

/* Without cookies the kernel drops SYNs once three quarters are used (tcp_conn_request in net/ipv4/tcp_input.c). */
uint64_t need_syn_backlog(const struct machine *machine, uint64_t connections)
{
	return (need_backlog(machine, connections) * 4 + 2) / 3;
}

/* However short the message, the kernel charges a page for a socket that has data in flight. */
uint64_t need_tcp_pages(const struct machine *machine, uint64_t connections)
{
	(void)machine;
	return connections;
}

/* Two sockets in a bucket. In a longer chain, each packet costs a cache miss for each socket. */
uint64_t need_hash_buckets(const struct machine *machine, uint64_t connections)
{
	(void)machine;
	return (connections + 1) / 2;
}

static uint64_t slow_bytes(uint64_t connections, uint64_t each)
{
	uint64_t bytes;
	return __builtin_mul_overflow(connections / NEED_SLOW_SHARE, each, &bytes) ? UINT64_MAX - 1 : bytes;
}

uint64_t need_read_buffers(const struct machine *machine, uint64_t connections)
{
	return slow_bytes(connections, used(machine, FACT_READ_MAX));
}

uint64_t need_write_buffers(const struct machine *machine, uint64_t connections)
{
	return slow_bytes(connections, used(machine, FACT_WRITE_MAX));
}

uint64_t need_ports(const struct machine *machine, uint64_t connections)
{
	(void)machine;
	return connections;
}

/* ---- what there is ---- */

uint64_t have_commit(const struct machine *machine)
{
	return used(machine, FACT_OVERCOMMIT) == OVERCOMMIT_NEVER ? bound(machine, FACT_COMMIT_LIMIT) : UINT64_MAX;
}

/* Where the module is loaded but no rule asks for tracking, nothing is tracked: there are sockets then, but none of
 * them is counted. */
uint64_t have_conntrack(const struct machine *machine)
{
	bool idle = used(machine, FACT_CONNTRACK_USED) == 0 && used(machine, FACT_TCP_SOCKETS) > 0;
	return idle ? UINT64_MAX : bound(machine, FACT_CONNTRACK_MAX);
}

/* With cookies a full queue costs a client some TCP options, not its connection. */
uint64_t have_syn_backlog(const struct machine *machine)
{
	return used(machine, FACT_SYNCOOKIES) != 0 ? UINT64_MAX : bound(machine, FACT_SYN_BACKLOG);
}

uint64_t have_tcp_bytes(const struct machine *machine)
{
	CHECK(machine->page_bytes > 0);
	uint64_t pages = bound(machine, FACT_TCP_PAGES);
	return pages < UINT64_MAX / machine->page_bytes ? pages * machine->page_bytes : UINT64_MAX;
}

uint64_t have_ports(const struct machine *machine)
{
	uint64_t first = bound(machine, FACT_PORT_FIRST);
	uint64_t last = bound(machine, FACT_PORT_LAST);
	return first <= last && last <= PORT_LAST_WANTED ? last - first + 1 : UINT64_MAX;
}

/* ---- what to set ---- */

static bool write_number(uint64_t value, char *wanted)
{
	snprintf(wanted, NEED_WANTED_BYTES, "%llu", (unsigned long long)value);
	return true;
}

bool wanted_descriptors(const struct machine *machine, uint64_t connections, char *wanted)
{
	uint64_t need = sizing_table(machine, connections);
	uint64_t most = bound(machine, FACT_NR_OPEN);
	uint64_t value = need > DESCRIPTORS_WANTED ? need : DESCRIPTORS_WANTED;
	return write_number(value > most && most >= need ? most : value, wanted);
}

/* Pages that TCP may take: the need, but no more than the machine can give, and no fewer than now. */
static uint64_t tcp_pages(const struct machine *machine, uint64_t connections)
{
	uint64_t now = used(machine, FACT_TCP_PAGES);
	uint64_t most = used(machine, FACT_MEMORY_TOTAL) / machine->page_bytes / TCP_MEMORY_SHARE;
	uint64_t value = need_tcp_pages(machine, connections);
	if (value > most)
		value = most;
	return value > now ? value : now;
}

bool wanted_tcp_pages(const struct machine *machine, uint64_t connections, char *wanted)
{
	uint64_t high = tcp_pages(machine, connections);
	snprintf(wanted, NEED_WANTED_BYTES, "%llu %llu %llu", (unsigned long long)high / 2,
		 (unsigned long long)high / 4 * 3, (unsigned long long)high);
	return high > used(machine, FACT_TCP_PAGES);
}

/* Lower than now, so that slow clients leave room for the others, given the memory that TCP gets at the same time. */
static bool wanted_buffers(const struct machine *machine, uint64_t connections, enum fact least, char *wanted)
{
	CHECK(least == FACT_READ_MIN || least == FACT_WRITE_MIN);
	uint64_t minimum = used(machine, least);
	uint64_t usual = used(machine, least + 1);
	uint64_t slow = connections / NEED_SLOW_SHARE;
	uint64_t most = tcp_pages(machine, connections) * machine->page_bytes / (slow > 0 ? slow : 1);
	if (most < BUFFER_BYTES_LEAST)
		most = BUFFER_BYTES_LEAST;
	if (most < usual)
		most = usual;
	snprintf(wanted, NEED_WANTED_BYTES, "%llu %llu %llu", (unsigned long long)minimum, (unsigned long long)usual,
		 (unsigned long long)most);
	return minimum > 0 && usual > 0 && most < used(machine, least + 2);
}

bool wanted_read_buffers(const struct machine *machine, uint64_t connections, char *wanted)
{
	return wanted_buffers(machine, connections, FACT_READ_MIN, wanted);
}

bool wanted_write_buffers(const struct machine *machine, uint64_t connections, char *wanted)
{
	return wanted_buffers(machine, connections, FACT_WRITE_MIN, wanted);
}

bool wanted_ports(const struct machine *machine, uint64_t connections, char *wanted)
{
	(void)connections;
	snprintf(wanted, NEED_WANTED_BYTES, "%u %u", PORT_FIRST_WANTED, PORT_LAST_WANTED);
	return have_ports(machine) < PORT_LAST_WANTED - PORT_FIRST_WANTED + 1;
}

bool wanted_on(const struct machine *machine, uint64_t connections, char *wanted)
{
	(void)machine;
	(void)connections;
	return write_number(1, wanted);
}

bool wanted_off(const struct machine *machine, uint64_t connections, char *wanted)
{
	(void)machine;
	(void)connections;
	return write_number(0, wanted);
}

bool wanted_fin_timeout(const struct machine *machine, uint64_t connections, char *wanted)
{
	(void)machine;
	(void)connections;
	return write_number(FIN_TIMEOUT_S_MOST, wanted);
}

bool wanted_huge_pages(const struct machine *machine, uint64_t connections, char *wanted)
{
	(void)machine;
	(void)connections;
	snprintf(wanted, NEED_WANTED_BYTES, "madvise");
	return true;
}

/* ---- good, or better changed; an unknown value is good ---- */

/* There are no more shards than cores: nothing is gained by allowing io_uring. */
static bool needs_no_more_shards(const struct machine *machine, uint64_t connections)
{
	return used(machine, FACT_FIXED_FILES) != 0 || sizing_tables_hold(machine, connections);
}

bool good_private_tables(const struct machine *machine, uint64_t connections)
{
	(void)connections;
	return used(machine, FACT_PRIVATE_TABLES) != 0;
}

/* The kernel's setting that refuses them is a limit of its own. */
bool good_fixed_files(const struct machine *machine, uint64_t connections)
{
	return used(machine, FACT_IO_URING_DISABLED) != 0 || needs_no_more_shards(machine, connections);
}

bool good_io_uring_disabled(const struct machine *machine, uint64_t connections)
{
	return used(machine, FACT_IO_URING_DISABLED) == 0 || needs_no_more_shards(machine, connections);
}

bool good_syncookies(const struct machine *machine, uint64_t connections)
{
	(void)connections;
	return bound(machine, FACT_SYNCOOKIES) != 0;
}

bool good_tw_reuse(const struct machine *machine, uint64_t connections)
{
	(void)connections;
	return bound(machine, FACT_TW_REUSE) != 0;
}

bool good_fin_timeout(const struct machine *machine, uint64_t connections)
{
	(void)connections;
	return used(machine, FACT_FIN_TIMEOUT) <= FIN_TIMEOUT_S_MOST;
}

bool good_huge_pages(const struct machine *machine, uint64_t connections)
{
	(void)connections;
	return strstr(machine->huge_pages, "[always]") == NULL;
}

/* These are read from a device or by a system call, the others from memory in some nanoseconds. */
bool good_clock(const struct machine *machine, uint64_t connections)
{
	(void)connections;
	static const char *const SLOW[] = {"hpet", "acpi_pm", "jiffies", "refined-jiffies", "xen", "pit"};
	for (size_t i = 0; i < sizeof(SLOW) / sizeof(SLOW[0]); i++) {
		if (strcmp(machine->clock_source, SLOW[i]) == 0)
			return false;
	}
	return true;
}
