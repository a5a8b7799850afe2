#include "doctor/redis/redis.h"

#include "base/check.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* XADD came with 5.0; a MINID of it with 6.2. */
#define VERSION_LEAST 5
#define VERSION_MINID 6.2

_Static_assert(REDIS_WORD_BYTES <= REDIS_LINE_BYTES, "a warning may show what Redis has said");

/* ---- asking ---- */

bool redis_fault(char fault[REDIS_LINE_BYTES], const char *text)
{
	snprintf(fault, REDIS_LINE_BYTES, "%s", text);
	return false;
}

redisReply *redis_ask(redisContext *context, char fault[REDIS_LINE_BYTES], const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	redisReply *reply = redisvCommand(context, format, arguments);
	va_end(arguments);
	if (reply == NULL) {
		redis_fault(fault, context->errstr);
	} else if (reply->type == REDIS_REPLY_ERROR) {
		redis_fault(fault, reply->str);
		freeReplyObject(reply);
		reply = NULL;
	}
	return reply;
}

static bool redis_sign_in(redisContext *context, const struct redis_login *login, char fault[REDIS_LINE_BYTES])
{
	if (login->user[0] == '\0' && login->password[0] == '\0')
		return true;
	redisReply *reply = login->user[0] != '\0'
				    ? redis_ask(context, fault, "AUTH %s %s", login->user, login->password)
				    : redis_ask(context, fault, "AUTH %s", login->password);
	if (reply != NULL)
		freeReplyObject(reply);
	return reply != NULL;
}

redisContext *redis_dial_up(const struct redis_place *place, const struct redis_login *login,
			    char fault[REDIS_LINE_BYTES])
{
	static const struct timeval timeout = {.tv_sec = REDIS_MS_MAX / 1000};
	redisContext *context = place->port == 0 ? redisConnectUnixWithTimeout(place->host, timeout)
						 : redisConnectWithTimeout(place->host, place->port, timeout);
	if (context == NULL || context->err != 0) {
		redis_fault(fault, context != NULL ? context->errstr : "out of memory");
		if (context != NULL)
			redisFree(context);
		return NULL;
	}
	redisSetTimeout(context, timeout);
	if (redis_sign_in(context, login, fault))
		return context;
	redisFree(context);
	return NULL;
}

/* The value of a line "name:value" of INFO. */
void redis_read_info(const char *info, const char *name, char word[REDIS_WORD_BYTES])
{
	size_t size = strlen(name);
	word[0] = '\0';
	for (const char *line = info; line != NULL; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, size) == 0 && line[size] == ':') {
			int value = (int)strcspn(line + size + 1, "\r\n");
			snprintf(word, REDIS_WORD_BYTES, "%.*s", value, line + size + 1);
			return;
		}
	}
}

/* A managed Redis often has no CONFIG: then "" stays. */
static void read_config(redisContext *context, const char *name, char word[REDIS_WORD_BYTES])
{
	redisReply *reply = redisCommand(context, "CONFIG GET %s", name);
	word[0] = '\0';
	if (reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
	    reply->element[1]->type == REDIS_REPLY_STRING)
		snprintf(word, REDIS_WORD_BYTES, "%s", reply->element[1]->str);
	if (reply != NULL)
		freeReplyObject(reply);
}

bool redis_look(struct redis_verdict *verdict, redisContext *context, char fault[REDIS_LINE_BYTES])
{
	char word[REDIS_WORD_BYTES];
	*verdict = (struct redis_verdict){.good = true};
	redisReply *info = redis_ask(context, fault, "INFO");
	if (info == NULL)
		return false;
	const char *text = info->type == REDIS_REPLY_STRING ? info->str : "";
	redis_read_info(text, "redis_version", verdict->version);
	redis_read_info(text, "maxmemory_policy", verdict->policy);
	redis_read_info(text, "role", verdict->role);
	redis_read_info(text, "maxmemory", word);
	verdict->memory_max = strtoull(word, NULL, 10);
	redis_read_info(text, "cluster_enabled", word);
	verdict->is_cluster = word[0] == '1';
	redis_read_info(text, "connected_slaves", word);
	verdict->replicas = (uint32_t)strtoul(word, NULL, 10);
	redis_read_info(text, "aof_enabled", word);
	snprintf(verdict->append, sizeof(verdict->append), "%s", word[0] == '1' ? "yes" : "no");
	freeReplyObject(info);
	read_config(context, "appendfsync", verdict->fsync);
	read_config(context, "save", verdict->save);
	read_config(context, "min-replicas-to-write", word);
	verdict->min_replicas = (uint32_t)strtoul(word, NULL, 10);
	read_config(context, "cluster-require-full-coverage", word);
	verdict->wants_all_slots = verdict->is_cluster && strcmp(word, "yes") == 0;
	return verdict->version[0] != '\0' || redis_fault(fault, "it answers, but not as Redis does");
}

/* ---- judging ---- */

static void warn_of_redis(struct redis_verdict *verdict, bool bad, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static void warn_of_redis(struct redis_verdict *verdict, bool bad, const char *format, ...)
{
	va_list arguments;
	CHECK_LT(verdict->warning_count, REDIS_WARNINGS_MAX);
	va_start(arguments, format);
	vsnprintf(verdict->warnings[verdict->warning_count++], REDIS_LINE_BYTES, format, arguments);
	va_end(arguments);
	verdict->good = verdict->good && !bad;
}

static void judge_persistence(struct redis_verdict *verdict)
{
	bool appends = strcmp(verdict->append, "yes") == 0;
	if (!appends && verdict->save[0] == '\0')
		warn_of_redis(
			verdict, true,
			"it keeps nothing on disk, or does not say so (appendonly no, save \"\"): what rules have "
			"sent is lost when it ends");
	else if (!appends)
		warn_of_redis(verdict, true,
			      "it saves now and then (save %s): what came since then is lost when it crashes; "
			      "appendonly yes keeps it",
			      verdict->save);
	else if (strcmp(verdict->fsync, "no") == 0)
		warn_of_redis(verdict, true,
			      "appendfsync no: a loss of power takes what the kernel has not written, of half a minute "
			      "or so");
	else if (strcmp(verdict->fsync, "everysec") == 0)
		warn_of_redis(verdict, false,
			      "appendfsync everysec: a loss of power takes up to two seconds that it had confirmed; "
			      "always takes none");
}

void redis_judge(struct redis_verdict *verdict, enum redis_kind kind)
{
	double version = strtod(verdict->version, NULL);
	verdict->warning_count = 0;
	verdict->good = true;
	if (version < VERSION_LEAST)
		warn_of_redis(verdict, true, "version %s has no streams; 5.0 is the first that has", verdict->version);
	else if (version < VERSION_MINID)
		warn_of_redis(verdict, false,
			      "version %s does not know max_age_s of a rule; 6.2 is the first that does",
			      verdict->version);
	if (verdict->is_cluster && kind != REDIS_CLUSTER)
		warn_of_redis(verdict, true,
			      "it is part of a cluster: redis+cluster:// with a list of nodes is wanted");
	if (strcmp(verdict->role, "slave") == 0)
		warn_of_redis(verdict, true, "it is a replica, which takes no entries");
	if (verdict->policy[0] != '\0' && strcmp(verdict->policy, "noeviction") != 0)
		warn_of_redis(verdict, verdict->memory_max != 0,
			      "maxmemory-policy %s%s: whole streams may be evicted; noeviction has rules wait instead",
			      verdict->policy, verdict->memory_max == 0 ? ", once there is a maxmemory" : "");
	if (kind != REDIS_SINGLE && verdict->replicas != 0 && verdict->min_replicas == 0)
		warn_of_redis(
			verdict, false,
			"min-replicas-to-write 0: what it takes while it is cut off from its replicas is lost when one "
			"of them takes over; 1 has rules wait instead");
	if (verdict->wants_all_slots)
		warn_of_redis(verdict, false,
			      "cluster-require-full-coverage yes: while another master is away and no replica has "
			      "taken over, "
			      "it takes no entries either; no has its streams go on");
	judge_persistence(verdict);
}

/* ---- showing ---- */

void redis_show(const struct redis_verdict *verdict, FILE *out)
{
	for (uint32_t i = 0; i < verdict->warning_count; i++)
		fprintf(out, "  %s\n", verdict->warnings[i]);
	if (verdict->warning_count == 0)
		fputs("  it keeps what rules send to it\n", out);
}

json_t *redis_json(const struct redis_verdict *verdict)
{
	json_t *warnings = json_array();
	for (uint32_t i = 0; i < verdict->warning_count; i++)
		json_array_append_new(warnings, json_string(verdict->warnings[i]));
	return json_pack("{ss ss ss ss ss ss sI sI sI sb sb so}", "version", verdict->version, "role", verdict->role,
			 "maxmemory_policy", verdict->policy, "appendonly", verdict->append, "appendfsync",
			 verdict->fsync, "save", verdict->save, "maxmemory_bytes", (json_int_t)verdict->memory_max,
			 "replicas", (json_int_t)verdict->replicas, "min_replicas_to_write",
			 (json_int_t)verdict->min_replicas, "cluster", verdict->is_cluster, "good", verdict->good,
			 "warnings", warnings);
}
