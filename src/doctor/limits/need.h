/* The functions behind the table of limits: what the machine has, what so many connections need, which value to set.
 * Called through the table only. Pure; any thread. */
#ifndef DOCTOR_LIMITS_NEED_H
#define DOCTOR_LIMITS_NEED_H

#include "doctor/machine/machine.h"

/* Of a value to set, as text. */
#define NEED_WANTED_BYTES 64u
/* All clients come back within a minute, and for a fifth of a second none is accepted: one in so many waits. */
#define NEED_WAITING_SHARE 300u
/* One client in so many does not read what it is sent, or has sent what nobody reads. */
#define NEED_SLOW_SHARE 100u

/* What so many connections need of a limit. Never falls as connections rise. */
uint64_t need_table(const struct machine *machine, uint64_t connections);
uint64_t need_files(const struct machine *machine, uint64_t connections);
uint64_t need_watches(const struct machine *machine, uint64_t connections);
uint64_t need_threads(const struct machine *machine, uint64_t connections);         /* Roost's */
uint64_t need_machine_threads(const struct machine *machine, uint64_t connections); /* and those that run now */
uint64_t need_group_tasks(const struct machine *machine, uint64_t connections);
uint64_t need_memory(const struct machine *machine, uint64_t connections);
uint64_t need_group_memory(const struct machine *machine, uint64_t connections);
uint64_t need_address(const struct machine *machine, uint64_t connections);
uint64_t need_commit(const struct machine *machine, uint64_t connections);
uint64_t need_mappings(const struct machine *machine, uint64_t connections);
uint64_t need_conntrack(const struct machine *machine, uint64_t connections);
uint64_t need_backlog(const struct machine *machine, uint64_t connections);
uint64_t need_syn_backlog(const struct machine *machine, uint64_t connections);
uint64_t need_tcp_pages(const struct machine *machine, uint64_t connections);
uint64_t need_hash_buckets(const struct machine *machine, uint64_t connections);
uint64_t need_read_buffers(const struct machine *machine, uint64_t connections);
uint64_t need_write_buffers(const struct machine *machine, uint64_t connections);
uint64_t need_ports(const struct machine *machine, uint64_t connections);

/* What there is; UINT64_MAX: it limits nothing here. */
uint64_t have_commit(const struct machine *machine);
uint64_t have_conntrack(const struct machine *machine);
uint64_t have_syn_backlog(const struct machine *machine);
uint64_t have_tcp_bytes(const struct machine *machine);
uint64_t have_ports(const struct machine *machine);

/* The value to set; wanted holds NEED_WANTED_BYTES. False: no value is better than the one that is set. */
bool wanted_descriptors(const struct machine *machine, uint64_t connections, char *wanted);
bool wanted_tcp_pages(const struct machine *machine, uint64_t connections, char *wanted);
bool wanted_read_buffers(const struct machine *machine, uint64_t connections, char *wanted);
bool wanted_write_buffers(const struct machine *machine, uint64_t connections, char *wanted);
bool wanted_ports(const struct machine *machine, uint64_t connections, char *wanted);
bool wanted_on(const struct machine *machine, uint64_t connections, char *wanted);  /* 1 */
bool wanted_off(const struct machine *machine, uint64_t connections, char *wanted); /* 0 */
bool wanted_fin_timeout(const struct machine *machine, uint64_t connections, char *wanted);
bool wanted_huge_pages(const struct machine *machine, uint64_t connections, char *wanted);

/* False: better changed. connections is 0 where the user named no number. */
bool good_private_tables(const struct machine *machine, uint64_t connections);
bool good_fixed_files(const struct machine *machine, uint64_t connections);
bool good_io_uring_disabled(const struct machine *machine, uint64_t connections);
bool good_syncookies(const struct machine *machine, uint64_t connections);
bool good_tw_reuse(const struct machine *machine, uint64_t connections);
bool good_fin_timeout(const struct machine *machine, uint64_t connections);
bool good_huge_pages(const struct machine *machine, uint64_t connections);
bool good_clock(const struct machine *machine, uint64_t connections);

#endif
