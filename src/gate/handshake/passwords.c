#include "gate/handshake/passwords.h"

#include <stdlib.h>

/* Lanes hold 4096 jobs of all gates. */
#define PENDING_BUCKETS 1024u

enum error gate_passwords_open(struct gate *gate)
{
	gate->pending_passwords = NULL;
	if (gate->password_workers == NULL)
		return ERROR_OK;
	gate->pending_passwords = calloc(PENDING_BUCKETS, sizeof(struct password_job *));
	return gate->pending_passwords != NULL ? ERROR_OK : ERROR_NO_MEMORY;
}

void gate_passwords_close(struct gate *gate)
{
	free(gate->pending_passwords);
	gate->pending_passwords = NULL;
}

uint64_t gate_lane_of(const struct gate *gate, const struct handshake *handshake)
{
	const union peer *peer = &handshake->peer;
	struct slice address = slice_of(NULL, 0);
	if (peer->any.sa_family == AF_INET)
		address = slice_of(&peer->v4.sin_addr, sizeof(peer->v4.sin_addr));
	else if (peer->any.sa_family == AF_INET6)
		address = slice_of(&peer->v6.sin6_addr, sizeof(peer->v6.sin6_addr) / 2);
	else if (peer->any.sa_family == AF_UNIX)
		address = slice_of(&peer->process.uid, sizeof(peer->process.uid));
	return hash_slice(gate->key, address);
}

/* ---- one verdict for many ---- */

static struct password_job **pending_bucket(const struct gate *gate, const struct password_mark *mark)
{
	uint32_t bucket;
	memcpy(&bucket, mark->bytes, sizeof(bucket));
	return &gate->pending_passwords[bucket % PENDING_BUCKETS];
}

/* The job whose verdict will do, or NULL. One that was abandoned before anybody joined it may have been passed over. */
static struct password_job *pending_find(const struct gate *gate, const struct password_mark *mark)
{
	struct password_job *job = *pending_bucket(gate, mark);
	while (job != NULL && (memcmp(job->mark.bytes, mark->bytes, sizeof(mark->bytes)) != 0 ||
			       (atomic_load(&job->abandoned) && !atomic_load(&job->shared))))
		job = job->pending_next;
	return job;
}

static void pending_add(const struct gate *gate, struct password_job *job)
{
	struct password_job **bucket = pending_bucket(gate, &job->mark);
	job->pending_next = *bucket;
	*bucket = job;
}

static void pending_remove(const struct gate *gate, const struct password_job *job)
{
	struct password_job **link = pending_bucket(gate, &job->mark);
	while (*link != job) {
		CHECK(*link != NULL);
		link = &(*link)->pending_next;
	}
	*link = job->pending_next;
}

static struct password_mark mark_of_deferred(const struct gate *gate)
{
	const struct sign_in *sign_in = &gate->sign_in;
	struct slice hash = sign_in->deferred_hash;
	if (hash.size == 0)
		hash = password_file_find(sign_in->passwords, sign_in->deferred_user);
	return password_cache_mark(&sign_in->cache, hash, sign_in->deferred_user, sign_in->deferred_password);
}

/* ---- submitting ---- */

static enum error submit_deferred(struct gate *gate, uint32_t index, const struct password_mark *mark)
{
	struct handshake *handshake = gate_handshake_at(gate, index);
	struct sign_in *sign_in = &gate->sign_in;
	uint64_t lane = gate_lane_of(gate, handshake);
	enum error error;
	if (sign_in->deferred_hash.size != 0)
		error = password_workers_check_hash(gate->password_workers, &gate->verdicts, sign_in->deferred_hash,
						    sign_in->deferred_user, sign_in->deferred_password, lane, index,
						    &handshake->password);
	else
		error = password_workers_check(gate->password_workers, &gate->verdicts, sign_in->passwords,
					       sign_in->deferred_user, sign_in->deferred_password, lane, index,
					       &handshake->password);
	if (error != ERROR_OK)
		return error;
	handshake->password->mark = *mark; /* only gates look at it */
	pending_add(gate, handshake->password);
	sign_in->passwords_hashed++;
	return ERROR_OK;
}

void gate_passwords_submit(struct gate *gate, uint32_t index, struct slice bytes, size_t packet_bytes, uint8_t version)
{
	struct handshake *handshake = gate_handshake_at(gate, index);
	CHECK(gate->password_workers != NULL && handshake->password == NULL);
	struct password_mark mark = mark_of_deferred(gate);
	struct password_job *leader = pending_find(gate, &mark);
	enum error error = leader != NULL ? password_job_join(leader, index, &handshake->password)
					  : submit_deferred(gate, index, &mark);
	if (error != ERROR_OK) {
		gate_handshake_refuse(gate, index, error, version);
		return;
	}
	COUNT(&gate->counters, passwords_waiting);
	handshake->version = version;
	gate_handshake_keep(gate, index, bytes, packet_bytes, true, version);
}

/* ---- verdicts ---- */

bool gate_password_remember(struct gate *gate, const struct password_job *job)
{
	pending_remove(gate, job);
	/* Where it was abandoned by all, nobody has looked. */
	if (atomic_load(&job->abandoned) && !atomic_load(&job->shared))
		return false;
	bool stale = job->file != NULL && job->file != gate->sign_in.passwords;
	COUNT(&gate->counters, passwords_checked);
	if (stale || job->verdict != ERROR_OK)
		return stale;
	if (job->file == NULL)
		sign_in_remember_hash(&gate->sign_in, password_job_hash(job), password_job_user(job),
				      password_job_password(job));
	else
		sign_in_remember(&gate->sign_in, password_job_user(job), password_job_password(job));
	return false;
}

bool gate_password_verdict(struct gate *gate, const struct password_job *waiting, enum error verdict, bool stale)
{
	if (atomic_load(&waiting->abandoned))
		return false;
	struct handshake *handshake = gate_handshake_at(gate, waiting->handshake);
	CHECK(handshake->password == waiting);
	handshake->password = NULL;
	COUNT_DOWN(&gate->counters, passwords_waiting);
	if (stale || verdict == ERROR_OK)
		return true;
	gate_handshake_refuse(gate, waiting->handshake, verdict, handshake->version);
	return false;
}
