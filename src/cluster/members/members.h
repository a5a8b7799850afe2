/* Which nodes there are, and which of them are alive: from their heartbeats (cluster/members/heartbeat.h) and from
 * silence.
 *
 * A peer is *alive* when each hears the other: its heartbeats come, and say that ours come there. It is *away* after a
 * silence of timeout_ms, or as soon as it says that it does not hear us any more, and may come back as the same run
 * (links go on where they were) or as another one. The *view* is who is alive, this node included. Nodes need not have
 * the same view at any moment; members_agree() says whether all of the view have said the same.
 *
 * A name keeps its *slot* for as long as this process runs. What this node had to do with a run of a peer ends when
 * another run of that name is accepted, or when it has said good-bye; that run is *given up* and never accepted again:
 * should it turn up, it is told so in our heartbeats, and begins anew as another run (on_renew there).
 *
 * Two nodes with one name: of those the one that has run longer stays. The other says good-bye, loudly, holds nobody
 * for alive, and begins anew once the first has been silent for timeout_ms. Other nodes keep the run that they know as
 * long as it is not silent.
 *
 * Wall clocks are compared, told and never used. Pure: owned by the nodes thread; time is monotonic milliseconds unless
 * it is called wall. What comes from the bus is never asserted on: it is refused, for a reason that is counted. */
#ifndef CLUSTER_MEMBERS_H
#define CLUSTER_MEMBERS_H

#include "cluster/members/member.h"

/* "OWN_NAME"; static storage. */
const char *members_refusal_name(enum members_refusal refusal);
const char *members_refusal_sentence(enum members_refusal refusal);

struct members;

/* NULL: no memory. */
struct members *members_new(const struct members_settings *settings, const struct members_observer *observer,
			    uint64_t now_ms);
void members_free(struct members *members);

/* Says what is to be alike everywhere, again whenever it has changed; up to HEARTBEAT_AGREEMENTS_MAX, names and all are
 * copied. A name has
 * up to MEMBERS_AGREEMENT_BYTES_MAX bytes. */
void members_set_agreements(struct members *members, const struct agreement *agreements, uint32_t count);

/* Takes what came on the common subject; our own heartbeats too, which the bus brings back. Returns whether it was one
 * of our own: then the bus works. */
bool members_receive(struct members *members, struct slice bytes, uint64_t now_ms, uint64_t wall_ms);

/* To be called at the deadline or later: silence, and the next heartbeat. */
void members_tick(struct members *members, uint64_t now_ms);
uint64_t members_next_deadline(const struct members *members);

/* The heartbeat that is due, for the common subject; empty: none is. Valid until the next call. To be asked after
 * members_receive() and members_tick(), and given to the bus before the datagrams of links: the peer then knows us when
 * those come. */
struct slice members_heartbeat(struct members *members, uint64_t now_ms, uint64_t wall_ms);
/* The last one. */
struct slice members_goodbye(struct members *members, uint64_t now_ms, uint64_t wall_ms);
/* After on_renew(): all runs of peers are over here (without on_ended()), and they are heard anew. Calls on_view(). */
void members_renew(struct members *members, uint64_t incarnation, uint64_t now_ms);

/* The bus was away: silence so far is nobody's fault, and is counted from now. */
void members_bus_is_back(struct members *members, uint64_t now_ms);

/* A node of this name was there in an earlier run: gives it a slot, as if it had been heard. MEMBERS_NONE: there is
 * none left, or it can be no node's name. */
uint32_t members_remember(struct members *members, struct slice name);
/* The run of this member, whose link the caller has ended, is over here. Should it be heard after all it is told so,
 * and begins anew. */
void members_forget(struct members *members, uint32_t slot);
/* Slots 0 to this number have been given, each to one name for good. */
uint32_t members_slot_count(const struct members *members);
/* MEMBERS_NONE: no such name. */
uint32_t members_find(const struct members *members, struct slice name);
const struct member *members_at(const struct members *members, uint32_t slot);
/* MEMBERS_NONE: no peer that has joined has this incarnation. */
uint32_t members_find_incarnation(const struct members *members, uint64_t incarnation);
struct slice members_own_name(const struct members *members);
uint64_t members_own_incarnation(const struct members *members);
/* Another node has our name: we are alone. */
bool members_has_yielded(const struct members *members);

/* Returns how many, up to NODES_MAX + 1. */
uint32_t members_view(const struct members *members, struct view_member view[NODES_MAX + 1]);
uint64_t members_view_hash(const struct members *members);
/* All of the view have said that they hold this very view. */
bool members_agree(const struct members *members);

const struct members_counters *members_counters(const struct members *members);

#endif
