/* A model of how one client id's session moves between nodes (cluster/takeover/home.h), for `spin`: tests/unit/cluster/
 * takeover_model.py runs all of its variants.
 *
 *   CLAIMS  how many times the client comes, each time on any node, also while earlier claims are under way
 *   CHANGE  the home moves from node 0 to node 1; each node sees that at a time of its own
 *   CRASH   node 0 or 2 dies at any time, and the others see that as such a change
 *   LIMIT   one time limit is reached too early, once: a claimant's, or that of a node that has sent its session
 *
 * One id, three nodes, a first in, first out channel for each pair. What a step does is atomic, as it is in the thread.
 * A session is LIVE on its node whether its client is connected or not; a HUSK has been sent and waits for TAKEN.
 *
 * Checked in every state: without a time limit or a crash there are never two live holders. (A node that gave a session
 * on and died may have taken with it the word that it had got it: then two have it until the home hears of both.)
 * Checked where nothing can happen any more: no claim waits, there is one holder at most and no husk, the home names the
 * holder, and what the session had is with it, unless a node crashed. */

#ifndef CLAIMS
#define CLAIMS 3
#endif
#define N 3
#define NOBODY 9
#define HOME(v) (v) /* of view 0: node 0; of view 1: node 1 */

/* A job of the home is a claim, or a MERGE of a second holder into the first, after a time limit or a split. It has one
 * at a time. DONE: the node that was to give has nothing. */
mtype = { CLAIM, GRANT, YIELD, MERGE, SESSION, NOTHING, TAKEN, DONE, ACCEPTED, REFUSED, HELD, ANNOUNCED };

chan q[9] = [10] of { mtype, byte, byte, byte }; /* kind, whom it is about, view, number or flag */

mtype = { ABSENT, LIVE, HUSK };
mtype holds[N];
byte husk_to[N];  /* HUSK: the claimant, and of which job */
byte husk_no[N];
byte gave_to[N];  /* ABSENT: who has accepted it; nodes remember that for a while */
bool data[N];     /* what the session had is here */
bool claims[N];   /* a claim of this node waits */
byte yield_to[N]; /* HUSK: the next one that it is to go to, and the number of that */
byte yield_no[N];
byte view[N];
bool alive[N];

/* The home's, by view. */
byte dir[2];     /* the holder */
bool is_husk[2]; /* and it has sent it elsewhere, as it says */
byte number[2];  /* of the job, or the last one */
byte busy[2];    /* whose claim is in work, or who gets what another one has */
byte said[2];    /* members that have said that all is announced */
byte pending[2]; /* claims that wait, by claimant */
byte beside[2];  /* who holds it beside the one in the directory, as they say */

byte left = CLAIMS;
bool crashed, limited, may_change;

#define ALL_SAID(v) (v == 0 || (said[v] | (alive[0] -> 0 : 1) | (alive[1] -> 0 : 2) | (alive[2] -> 0 : 4)) == 7)
#define LIVES ((holds[0] == LIVE) + (holds[1] == LIVE) + (holds[2] == LIVE))

inline send(by, to, sort, about, when, no) {
	if
	:: alive[to] -> q[by * N + to]!sort(about, when, no)
	:: else
	fi
}

inline become_live(who, has) {
	holds[who] = LIVE;
	gave_to[who] = NOBODY;
	data[who] = data[who] || has;
	assert(limited || crashed || LIVES == 1)
}

/* no: of the home's decision; 0: a time limit, nobody decided. */
inline end_claim(who, no) {
	claims[who] = false;
	send(who, HOME(view[who]), TAKEN, who, view[who], no)
}

inline give(giver, taker, no) {
	holds[giver] = HUSK;
	husk_to[giver] = taker;
	husk_no[giver] = no + 10 * view[giver];
	send(giver, taker, SESSION, giver, data[giver] + 2 * view[giver], no)
}

/* The home, or who was the holder before, says that the session goes to `claimant`. */
inline yields(holder, claimant, when, no) {
	if
	:: when != view[holder] -> skip /* it is claimed anew in the other view */
	:: when == view[holder] && holds[holder] == LIVE && claimant != holder -> give(holder, claimant, no)
	:: when == view[holder] && holds[holder] == HUSK ->
		yield_to[holder] = claimant; /* when it is known where it is */
		yield_no[holder] = no
	:: when == view[holder] && holds[holder] == ABSENT && gave_to[holder] != NOBODY &&
			alive[gave_to[holder]] ->
		send(holder, gave_to[holder], YIELD, claimant, when, no) /* follow it */
	:: when == view[holder] && !(holds[holder] == LIVE && claimant != holder) && holds[holder] != HUSK &&
			!(holds[holder] == ABSENT && gave_to[holder] != NOBODY && alive[gave_to[holder]]) ->
		send(holder, claimant, NOTHING, holder, when, no)
	fi
}

/* A YIELD that waited until it was known where the session is: here, or with node `now`. */
inline yields_now(waiter, now) {
	if
	:: yield_to[waiter] != NOBODY && now == waiter && yield_to[waiter] != waiter ->
		give(waiter, yield_to[waiter], yield_no[waiter])
	:: yield_to[waiter] != NOBODY && ((now == waiter && yield_to[waiter] == waiter) || !alive[now]) ->
		send(waiter, yield_to[waiter], NOTHING, waiter, view[waiter], yield_no[waiter])
	:: yield_to[waiter] != NOBODY && now != waiter && alive[now] ->
		send(waiter, now, YIELD, yield_to[waiter], view[waiter], yield_no[waiter])
	:: else
	fi;
	yield_to[waiter] = NOBODY;
	yield_no[waiter] = 0
}

inline begin_view(seer, seen) {
	view[seer] = seen;
	yield_to[seer] = NOBODY;
	yield_no[seer] = 0;
	if
	:: holds[seer] != ABSENT -> send(seer, HOME(seen), HELD, seer, seen, (holds[seer] == LIVE -> 1 : 0))
	:: else
	fi;
	if
	:: claims[seer] -> send(seer, HOME(seen), CLAIM, seer, seen, 0)
	:: else
	fi;
	send(seer, HOME(seen), ANNOUNCED, seer, seen, 0)
}

/* What the home of view v hears. */
inline hears(home, sort, about, v, no) {
	if
	:: v < view[home] -> skip /* all of that is told anew */
	:: v >= view[home] && sort == CLAIM -> pending[v] = pending[v] | (1 << about)
	:: v >= view[home] && sort == ANNOUNCED -> said[v] = said[v] | (1 << about)
	:: v >= view[home] && sort == TAKEN ->
		pending[v] = pending[v] & ~(1 << about);
		if
		:: busy[v] == about && no == number[v] -> dir[v] = about; is_husk[v] = false; busy[v] = NOBODY
		:: else -> beside[v] = beside[v] | (1 << about)
		fi
	:: v >= view[home] && sort == DONE ->
		if
		:: no == number[v] -> busy[v] = NOBODY
		:: else
		fi
	:: v >= view[home] && sort == HELD ->
		/* 1: live; 0: it is on its way elsewhere; 2: it was, and has come back */
		if
		:: no == 0 && dir[v] == NOBODY -> dir[v] = about; is_husk[v] = true
		:: no != 0 && (dir[v] == NOBODY || is_husk[v]) && busy[v] == NOBODY -> dir[v] = about; is_husk[v] = false
		:: no != 0 && !((dir[v] == NOBODY || is_husk[v]) && busy[v] == NOBODY) -> beside[v] = beside[v] | (1 << about)
		:: else
		fi
	fi
}

proctype node(byte me) {
	mtype kind;
	byte c, w, n;
end:
	do
	/* The client comes here. */
	:: atomic { alive[me] && left > 0 && !claims[me] && holds[me] != LIVE ->
		left--;
		claims[me] = true;
		send(me, HOME(view[me]), CLAIM, me, view[me], 0) }
	/* A message comes. */
	:: atomic { alive[me] && (nempty(q[me]) || nempty(q[N + me]) || nempty(q[2 * N + me])) ->
		if
		:: q[me]?kind, c, w, n
		:: q[N + me]?kind, c, w, n
		:: q[2 * N + me]?kind, c, w, n
		fi;
		if
		:: kind == GRANT || kind == NOTHING ->
			if
			:: claims[me] && w == view[me] ->
				if
				:: holds[me] != LIVE -> become_live(me, 0)
				:: else
				fi;
				end_claim(me, n)
			:: !claims[me] && w == view[me] -> send(me, HOME(w), DONE, me, w, n) /* a time limit was over */
			:: else
			fi
		:: kind == YIELD -> yields(me, c, w, n)
		:: kind == MERGE ->
			if
			:: w == view[me] && holds[me] == LIVE && c != me -> give(me, c, n)
			:: w == view[me] && !(holds[me] == LIVE && c != me) -> send(me, HOME(w), DONE, me, w, n)
			:: else
			fi
		:: kind == SESSION ->
			if
			:: w / 2 == view[me] ->
				become_live(me, w % 2);
				send(me, c, ACCEPTED, me, 0, n + 10 * (w / 2));
				end_claim(me, n)
			:: else -> send(me, c, REFUSED, me, 0, n + 10 * (w / 2))
			fi
		:: kind == ACCEPTED ->
			if
			:: holds[me] == HUSK && husk_to[me] == c && husk_no[me] == n ->
				holds[me] = ABSENT;
				data[me] = false;
				gave_to[me] = c;
				yields_now(me, c)
			:: else
			fi
		:: kind == REFUSED ->
			if
			:: holds[me] == HUSK && husk_to[me] == c && husk_no[me] == n ->
				become_live(me, 0);
				send(me, HOME(view[me]), HELD, me, view[me], 2);
				yields_now(me, me)
			:: else
			fi
		:: else -> hears(me, kind, c, w, n)
		fi;
		kind = CLAIM; c = 0; w = 0; n = 0 }
	/* The home takes the next claim. */
	:: atomic { me < 2 && alive[me] && view[me] == me && busy[me] == NOBODY && beside[me] == 0 && pending[me] != 0 && ALL_SAID(me) ->
		if
		:: pending[me] & 1 -> c = 0
		:: pending[me] & 2 -> c = 1
		:: pending[me] & 4 -> c = 2
		fi;
		pending[me] = pending[me] & ~(1 << c);
		busy[me] = c;
		number[me]++;
		if
		:: dir[me] == NOBODY -> send(me, c, GRANT, c, me, number[me])
		:: dir[me] != NOBODY -> send(me, dir[me], YIELD, c, me, number[me])
		fi;
		c = 0 }
	/* Or sees to it that one of two holders remains. */
	:: atomic { me < 2 && alive[me] && view[me] == me && busy[me] == NOBODY && beside[me] != 0 && ALL_SAID(me) ->
		if
		:: beside[me] & 1 -> c = 0
		:: beside[me] & 2 -> c = 1
		:: beside[me] & 4 -> c = 2
		fi;
		beside[me] = beside[me] & ~(1 << c);
		if
		:: dir[me] == c -> is_husk[me] = false
		:: dir[me] == NOBODY || (dir[me] != c && is_husk[me]) -> dir[me] = c; is_husk[me] = false
		:: dir[me] != c && dir[me] != NOBODY && !is_husk[me] ->
			/* Either may be the one with the later connection. */
			if
			:: w = dir[me]
			:: w = c; c = dir[me]; dir[me] = w
			fi;
			busy[me] = w;
			number[me]++;
			send(me, c, MERGE, w, me, number[me])
		fi;
		c = 0; w = 0 }
	/* Where it was sent there is nobody any more. */
	:: atomic { alive[me] && view[me] == 1 && holds[me] == HUSK && !alive[husk_to[me]] ->
		become_live(me, 0);
		send(me, HOME(view[me]), HELD, me, view[me], 2);
		yields_now(me, me) }
#ifdef CHANGE
	:: atomic { alive[me] && view[me] == 0 && (may_change || crashed) -> begin_view(me, 1) }
#endif
#ifdef LIMIT
	/* A claimant does not wait any longer: its client begins a new session. */
	:: atomic { alive[me] && claims[me] && !limited ->
		limited = true;
		become_live(me, 0);
		end_claim(me, 0);
		yields_now(me, me) }
	/* It was sent, and TAKEN did not come in time. */
	:: atomic { alive[me] && holds[me] == HUSK && !limited ->
		limited = true;
		become_live(me, 0);
		send(me, HOME(view[me]), HELD, me, view[me], 2);
		yields_now(me, me) }
#endif
	od
}

#ifdef CRASH
proctype crash() {
	byte i;
	atomic {
		if
		:: i = 0
		:: i = 2
		fi;
		alive[i] = false;
		crashed = true;
		holds[i] = ABSENT;
		claims[i] = false;
		data[i] = false;
		i = 0
	}
}
#endif

init {
	byte i;
	atomic {
		for (i : 0 .. 2) {
			holds[i] = ABSENT;
			husk_to[i] = NOBODY;
			gave_to[i] = NOBODY;
			yield_to[i] = NOBODY;
			alive[i] = true
		}
		dir[0] = NOBODY; dir[1] = NOBODY;
		busy[0] = NOBODY; busy[1] = NOBODY;
		/* One of them has a session. */
		if
		:: i = 0
		:: i = 1
		:: i = 2
		fi;
		holds[i] = LIVE;
		data[i] = true;
		dir[0] = i;
		i = 0;
#ifndef CRASH
		may_change = true;
#endif
		run node(0); run node(1); run node(2);
#ifdef CRASH
		run crash()
#endif
	}
	timeout ->
	assert(!claims[0] && !claims[1] && !claims[2]);
	assert(LIVES <= 1);
	assert(holds[0] != HUSK && holds[1] != HUSK && holds[2] != HUSK);
#ifdef CHANGE
	i = 1;
#endif
	if
	:: LIVES == 1 -> assert(dir[i] < N && holds[dir[i]] == LIVE)
	:: else
	fi;
	if
	:: crashed
	:: else -> assert(LIVES == 1 && ((holds[0] == LIVE && data[0]) || (holds[1] == LIVE && data[1]) ||
			(holds[2] == LIVE && data[2])))
	fi
}
