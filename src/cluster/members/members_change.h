/* Changes of a member's state, and what the observer hears of them. For the files of cluster/members/members.h alone.
 */
#ifndef CLUSTER_MEMBERS_CHANGE_H
#define CLUSTER_MEMBERS_CHANGE_H

#include "cluster/members/members_state.h"

static inline struct slice member_name(const struct member *member)
{
	return slice_of(member->name, member->name_bytes);
}

void members_refuse(struct members *members, struct slice name, enum members_refusal refusal, uint64_t now_ms);
void member_set_state(struct member *member, enum member_state state, uint64_t now_ms);
/* The run is over, for whatever reason; the slot's state is the caller's affair. */
void members_end_run(struct members *members, uint32_t slot, bool said_goodbye);
void members_lose(struct members *members, uint32_t slot, enum away_reason reason, uint64_t now_ms);
bool members_is_given_up(const struct members *members, uint64_t incarnation);
void members_give_up(struct members *members, uint64_t incarnation);
void members_ask_for_renewal(struct members *members, struct slice by);
/* members_view(). */
uint32_t members_list_view(const struct members *members, struct view_member view[NODES_MAX + 1]);
/* Tells of the view where it has changed. */
void members_review(struct members *members);

#endif
