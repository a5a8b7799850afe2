#include "bench/scenario/limits.h"

#include "bench/measure/share.h"

#include "reactor/fdtable.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>

/* 0, 1, 2, epolls, and files of /proc. */
#define DESCRIPTORS_OWN 64u
/* An idle socket of the bench: the kernel's 3.85 KB and the client's own 24 bytes. */
#define CLIENT_BYTES 4096u
/* The server's end of the socket, if it is on this machine too, and what a frugal broker keeps for a client. */
#define SERVER_BYTES (4096u + 1024u)
#define KILO 1024u

static uint64_t memory_available(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	char line[128];
	unsigned long long kilobytes = 0;
	while (file != NULL && kilobytes == 0 && fgets(line, sizeof(line), file) != NULL)
		sscanf(line, "MemAvailable: %llu", &kilobytes);
	if (file != NULL)
		fclose(file);
	return kilobytes * KILO;
}

static uint64_t ports_available(void)
{
	FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
	unsigned int low = 0;
	unsigned int high = 0;
	bool known = file != NULL && fscanf(file, "%u %u", &low, &high) == 2 && high >= low;
	if (file != NULL)
		fclose(file);
	return known ? high - low + 1u : 0;
}

static bool same_host(const struct sockaddr *a, const struct sockaddr_storage *b)
{
	if (a == NULL || a->sa_family != b->ss_family)
		return false;
	if (a->sa_family == AF_INET)
		return ((const struct sockaddr_in *)a)->sin_addr.s_addr ==
		       ((const struct sockaddr_in *)b)->sin_addr.s_addr;
	return a->sa_family == AF_INET6 &&
	       memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr, &((const struct sockaddr_in6 *)b)->sin6_addr,
		      sizeof(struct in6_addr)) == 0;
}

static bool is_local(const struct address *target)
{
	struct ifaddrs *list;
	bool found = address_is_loopback_v4(target);
	if (found || getifaddrs(&list) != 0)
		return found;
	for (const struct ifaddrs *at = list; !found && at != NULL; at = at->ifa_next)
		found = same_host(at->ifa_addr, &target->storage);
	freeifaddrs(list);
	return found;
}

void limits_read(struct limits *limits, const struct address *target)
{
	*limits = (struct limits){
		.descriptors = fdtable_raise_limit(),
		.private_tables = fdtable_can_detach(),
		.ports = address_is_loopback_v4(target) ? 0 : ports_available(),
		.memory_bytes = memory_available(),
		.is_local = is_local(target),
	};
}

/* Each group is shared out by itself, and the first thread gets the most of each. */
static uint64_t clients_of_first_thread(const struct scenario *scenario)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < scenario->group_count; i++)
		sum += share_of(scenario->groups[i].count, scenario->threads, 0);
	return sum;
}

bool limits_allow(const struct limits *limits, const struct scenario *scenario, char fault[LIMITS_FAULT_BYTES])
{
	uint64_t clients = scenario_clients(scenario);
	uint64_t in_table = limits->private_tables ? clients_of_first_thread(scenario) : clients;
	uint64_t room = limits->descriptors > DESCRIPTORS_OWN ? limits->descriptors - DESCRIPTORS_OWN : 0;
	uint64_t needed = clients * (CLIENT_BYTES + (limits->is_local ? SERVER_BYTES : 0));
	if (in_table > room) {
		snprintf(fault, LIMITS_FAULT_BYTES,
			 "%llu clients in one table of descriptors, and there is room for %llu: %s",
			 (unsigned long long)in_table, (unsigned long long)room,
			 limits->private_tables ? "raise threads, or ulimit -n" : "raise ulimit -n");
		return false;
	}
	if (limits->ports > 0 && clients > limits->ports) {
		snprintf(fault, LIMITS_FAULT_BYTES,
			 "%llu clients from one address, and the machine has %llu ports for it: raise "
			 "net.ipv4.ip_local_port_range, or use more machines",
			 (unsigned long long)clients, (unsigned long long)limits->ports);
		return false;
	}
	if (limits->memory_bytes > 0 && needed > limits->memory_bytes) {
		snprintf(fault, LIMITS_FAULT_BYTES, "%llu clients need at least %llu MiB%s, and %llu MiB are available",
			 (unsigned long long)clients, (unsigned long long)(needed >> 20),
			 limits->is_local ? ", the server's end included" : "",
			 (unsigned long long)(limits->memory_bytes >> 20));
		return false;
	}
	return true;
}
