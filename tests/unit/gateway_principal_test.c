/* What a client may do and for how long, on its shard: permissions, expiry, re-authentication, revocations. */
#include "access_files.h"
#include "base/log.h"
#include "client/review.h"
#include "lifecycle/due/revoke.h"
#include "mqtt/decode.h"
#include "mqtt/field/reason.h"
#include "scene_client.h"
#include "state/principal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static struct access_files files;
static struct access_settings guarded;

static void write_files(void)
{
	access_files_make(&files);
	guarded = (struct access_settings){.allow_by_default = true, .anonymous = ANONYMOUS_LOOPBACK};
	access_files_write_secret(&files, &guarded);
	access_files_write(&files, guarded.password_file, "passwords", TEST_PASSWORDS);
	access_files_write(&files, guarded.rule_file, "rules",
			   "deny all secret/#\nallow publish own/%c/#\ndeny publish own/#\n");
}

static int scene_open(void **state)
{
	write_files();
	*state = shard_scene_new_guarded(1, &guarded);
	return 0;
}

static int scene_open_two(void **state)
{
	write_files();
	*state = shard_scene_new_guarded(2, &guarded);
	return 0;
}

static int scene_close(void **state)
{
	shard_scene_free(*state);
	access_files_remove(&files);
	return 0;
}

static int sign_in_with(struct shard_scene *scene, uint16_t shard, const char *id, const char *token)
{
	return scene_sign_in(scene, shard, &(struct visitor){.id = id, .user = "", .password = token});
}

static void pass_s(struct shard_scene *scene, uint32_t seconds)
{
	shard_scene_pass_ms(scene, (uint64_t)seconds * 1000);
	shard_scene_settle(scene);
}

static void leave(struct shard_scene *scene, int fd)
{
	close(fd);
	shard_scene_settle(scene);
}

/* ---- permissions ---- */

static uint8_t suback_code(int fd)
{
	struct slice body = scene_expect(fd, MQTT_SUBACK);
	return body.data[body.size - 1];
}

static uint8_t puback_code(int fd)
{
	struct mqtt_ack ack;
	assert_int_equal(mqtt_ack_decode(scene_expect(fd, MQTT_PUBACK), MQTT_PUBACK, 5, &ack), ERROR_OK);
	return ack.reason;
}

static uint8_t publish_code(struct shard_scene *scene, int fd, const char *topic)
{
	scene_publish(fd, 5, topic, "x", 1);
	shard_scene_settle(scene);
	return puback_code(fd);
}

static uint8_t subscribe_code(struct shard_scene *scene, int fd, const char *filter)
{
	scene_subscribe(fd, 5, filter, 0);
	shard_scene_settle(scene);
	return suback_code(fd);
}

static void test_rules_of_the_file(void **state)
{
	struct shard_scene *scene = *state;
	int fd = sign_in_with(scene, 0, "a", test_token("{\"sub\":\"u\"}"));
	assert_int_equal(publish_code(scene, fd, "own/a/x"), MQTT_REASON_NO_MATCHING_SUBSCRIBERS);
	assert_int_equal(publish_code(scene, fd, "own/b/x"), MQTT_REASON_NOT_AUTHORIZED);
	assert_int_equal(publish_code(scene, fd, "own/b/x"), MQTT_REASON_NOT_AUTHORIZED);
	assert_int_equal(publish_code(scene, fd, "secret"), MQTT_REASON_NOT_AUTHORIZED);
	assert_int_equal(publish_code(scene, fd, "other"), MQTT_REASON_NO_MATCHING_SUBSCRIBERS);
	assert_int_equal(subscribe_code(scene, fd, "#"), MQTT_REASON_NOT_AUTHORIZED);
	assert_int_equal(subscribe_code(scene, fd, "$share/g/secret/x"), MQTT_REASON_NOT_AUTHORIZED);
	assert_int_equal(subscribe_code(scene, fd, "other/#"), 0);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_messages_denied), 3);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_subscriptions_denied), 2);
	leave(scene, fd);
	shard_scene_check_empty(scene);
}

/* New rules hold for those who are there: decisions that were remembered are not kept. */
static void test_rules_are_read_again(void **state)
{
	struct shard_scene *scene = *state;
	int fd = sign_in_with(scene, 0, "a", test_token("{\"sub\":\"u\"}"));
	assert_int_equal(publish_code(scene, fd, "other"), MQTT_REASON_NO_MATCHING_SUBSCRIBERS);
	access_files_write(&files, guarded.rule_file, "rules", "deny all other\n");
	assert_true(access_reload(scene->access, NULL));
	assert_int_equal(publish_code(scene, fd, "other"), MQTT_REASON_NOT_AUTHORIZED);
	assert_int_equal(publish_code(scene, fd, "secret"), MQTT_REASON_NO_MATCHING_SUBSCRIBERS);
	leave(scene, fd);
}

static void test_a_denied_will_is_no_sign_in(void **state)
{
	struct shard_scene *scene = *state;
	const char *token = test_token("{\"sub\":\"u\"}");
	struct visitor visitor = {.id = "a", .user = "", .password = token, .will_topic = "secret/x"};
	assert_int_equal(scene_come(scene, 0, &visitor), -1);
	assert_int_equal(scene->refusal, ERROR_PUBLISH_DENIED);
	visitor.will_topic = "own/b/x";
	assert_int_equal(scene_come(scene, 0, &visitor), -1);
	visitor.will_topic = "own/a/x";
	leave(scene, scene_sign_in(scene, 0, &visitor));
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_wills_sent), 1);
	shard_scene_check_empty(scene);
}

#define PERMISSIONS "\"permissions\":{\"publish\":[\"p/%%c\"]}"

static void test_rules_of_a_token_are_kept_once(void **state)
{
	struct shard_scene *scene = *state;
	enum { CLIENTS = 100 };
	int fds[CLIENTS];
	for (int i = 0; i < CLIENTS; i++) {
		char id[16];
		snprintf(id, sizeof(id), "c%d", i);
		fds[i] = sign_in_with(scene, 0, id, test_token("{\"sub\":\"u%d\"," PERMISSIONS "}", i));
	}
	assert_int_equal(scene->shards[0].guard.token_rules.entries.used, 1);
	assert_int_equal(publish_code(scene, fds[1], "p/c1"), MQTT_REASON_NO_MATCHING_SUBSCRIBERS);
	assert_int_equal(publish_code(scene, fds[1], "p/c2"), MQTT_REASON_NOT_AUTHORIZED);
	assert_int_equal(publish_code(scene, fds[2], "p/c2"), MQTT_REASON_NO_MATCHING_SUBSCRIBERS);
	for (int i = 0; i < CLIENTS; i++)
		close(fds[i]);
	shard_scene_settle(scene);
	assert_int_equal(scene->shards[0].guard.token_rules.entries.used, 0);
	shard_scene_check_empty(scene);
}

/* ---- rights that are taken ---- */

/* The work of a turn is bounded, however many subscriptions there are; and one that is asked for again before its turn
 * comes ends with the refusal. */
static void test_rights_are_taken_turn_by_turn(void **state)
{
	struct shard_scene *scene = *state;
	enum { FILTERS = 600, A_TURN = 256 };
	scene->settings.client_subscriptions_max = FILTERS + 1;
	shard_scene_restart(scene);
	int fd = sign_in_with(scene, 0, "a", test_token("{\"sub\":\"u\"}"));
	assert_int_equal(subscribe_code(scene, fd, "first"), 0);
	for (int i = 0; i < FILTERS; i++) {
		char filter[24];
		snprintf(filter, sizeof(filter), "taken/%d", i);
		assert_int_equal(subscribe_code(scene, fd, filter), 0);
	}
	access_files_write(&files, guarded.rule_file, "rules", "deny all taken/#\n");
	assert_true(access_reload(scene->access, NULL));
	scene_subscribe(fd, 5, "taken/0", 0); /* the last to be looked at */
	shard_scene_turn_one(scene, 0);
	assert_int_equal(suback_code(fd), MQTT_REASON_NOT_AUTHORIZED);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_subscriptions_revoked), A_TURN + 1);
	shard_scene_settle(scene);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_subscriptions_revoked), FILTERS);
	assert_int_equal(scene->shards[0].sessions.subscriptions.pool.used, 1);
	/* What is read again and says the same takes nothing, and costs no round. */
	assert_true(access_reload(scene->access, NULL));
	shard_scene_turn_one(scene, 0);
	assert_false(review_waits(&scene->shards[0]));
	leave(scene, fd);
	shard_scene_check_empty(scene);
}

/* The right to what waits is looked at again when it is sent; what comes from then on needs no look. */
static void test_only_what_waits_is_looked_at_again(void **state)
{
	struct shard_scene *scene = *state;
	const char *token = test_token("{\"sub\":\"u\"}");
	int fd = sign_in_with(scene, 0, "idle", token);
	struct visitor visitor = {.id = "stays", .user = "", .password = token, .stays = true};
	int other = scene_sign_in(scene, 0, &visitor);
	const struct session *idle = &shard_client(&scene->shards[0], (struct client_ref){1})->session;
	const struct session *stays = &shard_client(&scene->shards[0], (struct client_ref){2})->session;
	assert_int_equal(subscribe_code(scene, fd, "taken/y"), 0);
	scene_subscribe(other, 5, "taken/x", 1);
	shard_scene_settle(scene);
	leave(scene, other);
	assert_int_equal(publish_code(scene, fd, "taken/x"), MQTT_REASON_SUCCESS);
	access_files_write(&files, guarded.rule_file, "rules", "deny all taken/#\n");
	assert_true(access_reload(scene->access, NULL));
	shard_scene_settle(scene);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_subscriptions_revoked), 2);
	assert_false(idle->is_narrowed);
	assert_true(stays->is_narrowed);
	other = scene_sign_in(scene, 0, &visitor);
	scene_expect_nothing(other);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_messages_dropped_denied), 1);
	assert_false(stays->is_narrowed);
	leave(scene, fd);
	leave(scene, other);
}

/* The client goes in the middle of it, and its place is another's. */
static void test_a_review_of_who_goes(void **state)
{
	struct shard_scene *scene = *state;
	enum { FILTERS = 300 };
	scene->settings.client_subscriptions_max = FILTERS + 1;
	shard_scene_restart(scene);
	int fd = sign_in_with(scene, 0, "a", test_token("{\"sub\":\"u\"}"));
	for (int i = 0; i < FILTERS; i++) {
		char filter[24];
		snprintf(filter, sizeof(filter), "t/%d", i);
		assert_int_equal(subscribe_code(scene, fd, filter), 0);
	}
	access_files_write(&files, guarded.rule_file, "rules", "deny all other\n");
	assert_true(access_reload(scene->access, NULL));
	shard_scene_turn_one(scene, 0);
	assert_true(review_waits(&scene->shards[0]));
	leave(scene, fd);
	fd = sign_in_with(scene, 0, "b", test_token("{\"sub\":\"u\"}"));
	assert_int_equal(subscribe_code(scene, fd, "t/1"), 0);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_subscriptions_revoked), 0);
	leave(scene, fd);
	shard_scene_check_empty(scene);
}

/* What is left of a session that has ended, and is freed over some turns, is nobody's. */
static void test_a_review_of_who_has_gone(void **state)
{
	struct shard_scene *scene = *state;
	enum { FILTERS = 2000 };
	scene->settings.client_subscriptions_max = FILTERS;
	shard_scene_restart(scene);
	int fd = sign_in_with(scene, 0, "a", test_token("{\"sub\":\"u\"}"));
	for (int i = 0; i < FILTERS; i++) {
		char filter[24];
		snprintf(filter, sizeof(filter), "taken/%d", i);
		assert_int_equal(subscribe_code(scene, fd, filter), 0);
	}
	close(fd);
	shard_scene_turn_one(scene, 0);
	assert_non_null(scene->shards[0].sessions.cleanups);
	access_files_write(&files, guarded.rule_file, "rules", "deny all taken/#\n");
	assert_true(access_reload(scene->access, NULL));
	shard_scene_turn_one(scene, 0);
	assert_non_null(scene->shards[0].sessions.cleanups);
	shard_scene_settle(scene);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_subscriptions_revoked), 0);
	shard_scene_check_empty(scene);
}

/* ---- the token's end ---- */

static void test_expiry_ends_the_session(void **state)
{
	struct shard_scene *scene = *state;
	int heir = sign_in_with(scene, 0, "heir", test_token("{\"sub\":\"u\"}"));
	assert_int_equal(subscribe_code(scene, heir, "w"), 0);
	const char *token = test_token("{\"sub\":\"u\",\"exp\":%ld}", test_wall_s() + 100);
	int fd =
		scene_sign_in(scene, 0, &(struct visitor){.id = "a", .user = "", .password = token, .will_topic = "w"});
	pass_s(scene, 90);
	scene_expect_nothing(fd);
	pass_s(scene, 12);
	scene_expect_end(fd, 0xA0);
	assert_int_equal(shard_scene_ends(scene, 0, ERROR_SIGN_IN_EXPIRED), 1);
	scene_expect(heir, MQTT_PUBLISH);
	leave(scene, heir);
	shard_scene_check_empty(scene);
}

/* What is let in because clocks may be off stays as long as clocks may be off. */
static void test_leeway_is_for_the_session_too(void **state)
{
	struct shard_scene *scene = *state;
	scene->settings.access.token_leeway_s = 30;
	sign_in_fini(&scene->sign_in);
	assert_int_equal(access_sign_in_init(scene->access, &scene->sign_in, true), ERROR_OK);
	shard_scene_refresh(scene);
	int fd = sign_in_with(scene, 0, "a", test_token("{\"sub\":\"u\",\"exp\":%ld}", test_wall_s() - 10));
	pass_s(scene, 15);
	scene_expect_nothing(fd);
	pass_s(scene, 8);
	scene_expect_end(fd, 0xA0);
	shard_scene_check_empty(scene);
}

/* ---- AUTH ---- */

static int sign_in_by_auth(struct shard_scene *scene, const char *id, int64_t left_s)
{
	const char *token = test_token("{\"sub\":\"u\",\"exp\":%ld}", test_wall_s() + left_s);
	return scene_sign_in(scene, 0, &(struct visitor){.id = id, .token = token});
}

static void test_auth_renews(void **state)
{
	struct shard_scene *scene = *state;
	int fd = sign_in_by_auth(scene, "a", 100);
	pass_s(scene, 60);
	scene_renew(fd, NULL, test_token("{\"sub\":\"u\",\"exp\":%ld," PERMISSIONS "}", test_wall_s() + 100));
	shard_scene_settle(scene);
	struct slice body = scene_expect(fd, MQTT_AUTH);
	assert_int_equal(body.data[0], 0);
	assert_int_equal(publish_code(scene, fd, "other"), MQTT_REASON_NOT_AUTHORIZED);
	pass_s(scene, 90);
	scene_expect_nothing(fd);
	pass_s(scene, 15);
	scene_expect_end(fd, 0xA0);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_sign_ins_renewed), 1);
	shard_scene_check_empty(scene);
}

/* A renewal may end the session earlier or later. */
static void test_auth_moves_the_end_either_way(void **state)
{
	struct shard_scene *scene = *state;
	int fd = sign_in_by_auth(scene, "a", 100);
	int other = sign_in_by_auth(scene, "b", 100);
	scene_renew(fd, NULL, test_token("{\"sub\":\"u\",\"exp\":%ld}", test_wall_s() + 10));
	scene_renew(other, NULL, test_token("{\"sub\":\"u\"}"));
	shard_scene_settle(scene);
	scene_expect(fd, MQTT_AUTH);
	scene_expect(other, MQTT_AUTH);
	pass_s(scene, 12);
	scene_expect_end(fd, 0xA0);
	pass_s(scene, 1000);
	scene_expect_nothing(other);
	leave(scene, other);
	shard_scene_check_empty(scene);
}

static const struct {
	const char *method;
	const char *claims; /* NULL: no token at all */
	uint8_t reason;
	enum error error;
} RENEWALS[] = {
	{NULL, "{\"sub\":\"other\"}", MQTT_REASON_NOT_AUTHORIZED, ERROR_TOKEN_USER},
	{NULL, "{}", MQTT_REASON_NOT_AUTHORIZED, ERROR_TOKEN_CLAIM},
	{NULL, "{\"sub\":\"u\",\"client_id\":\"b\"}", MQTT_REASON_NOT_AUTHORIZED, ERROR_TOKEN_CLIENT_ID},
	{NULL, "{\"sub\":\"u\",\"exp\":1000}", MQTT_REASON_NOT_AUTHORIZED, ERROR_TOKEN_EXPIRED},
	{"SCRAM", "{\"sub\":\"u\"}", MQTT_REASON_BAD_AUTHENTICATION_METHOD, ERROR_AUTH_METHOD},
	{NULL, NULL, MQTT_REASON_NOT_AUTHORIZED, ERROR_CREDENTIALS_MISSING},
};

static void test_auth_that_ends_the_connection(void **state)
{
	struct shard_scene *scene = *state;
	for (size_t i = 0; i < sizeof(RENEWALS) / sizeof(RENEWALS[0]); i++) {
		int fd = sign_in_by_auth(scene, "a", 100);
		uint64_t before = shard_scene_ends(scene, 0, RENEWALS[i].error);
		const char *claims = RENEWALS[i].claims;
		scene_renew(fd, RENEWALS[i].method, claims != NULL ? test_token("%s", claims) : "secret");
		shard_scene_settle(scene);
		scene_expect_end(fd, RENEWALS[i].reason);
		if (shard_scene_ends(scene, 0, RENEWALS[i].error) != before + 1)
			fail_msg("case %zu ended otherwise than by %s", i, error_name(RENEWALS[i].error));
	}
	/* A shard never hashes: that takes as long as thousands of messages. */
	assert_int_equal(scene->shards[0].guard.sign_in.passwords_hashed, 0);
	shard_scene_check_empty(scene);
}

static void test_auth_of_who_signed_in_without_a_method(void **state)
{
	struct shard_scene *scene = *state;
	int fd = sign_in_with(scene, 0, "a", test_token("{\"sub\":\"u\"}"));
	scene_renew(fd, NULL, test_token("{\"sub\":\"u\"}"));
	shard_scene_settle(scene);
	scene_expect_end(fd, MQTT_REASON_PROTOCOL_ERROR);
	shard_scene_check_empty(scene);
}

/* ---- whose session it is ---- */

/* What was meant for one user is not another's, though he comes with the same client id. */
static void test_a_session_is_its_users(void **state)
{
	struct shard_scene *scene = *state;
	const char *token = test_token("{\"sub\":\"u\"}");
	struct visitor owner = {.id = "same", .user = "", .password = token, .stays = true};
	int fd = scene_sign_in(scene, 0, &owner);
	assert_int_equal(subscribe_code(scene, fd, "news"), 0);
	leave(scene, fd);
	fd = scene_sign_in(scene, 0, &owner);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_sessions_resumed), 1);
	leave(scene, fd);
	struct visitor other = {.id = "same", .user = "alice", .password = "secret", .stays = true};
	fd = scene_sign_in(scene, 0, &other);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_sessions_resumed), 1);
	assert_int_equal(publish_code(scene, fd, "news"), MQTT_REASON_NO_MATCHING_SUBSCRIBERS);
	scene_expect_nothing(fd);
	/* And while its connection stands. */
	token = test_token("{\"sub\":\"u\"}");
	owner.password = token;
	int taken = scene_sign_in(scene, 0, &owner);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_sessions_resumed), 1);
	scene_expect_end(fd, 0x8E);
	scene_say(taken, slice_of("\xe0\x07\0\x05\x11\0\0\0\0", 9)); /* with no session left behind */
	leave(scene, taken);
	shard_scene_check_empty(scene);
}

/* ---- revocations ---- */

static void shut_out(struct shard_scene *scene, enum revocation_kind kind, const char *id)
{
	struct revocation revocation = {.kind = kind, .id = slice_string(id), .until_s = REVOKED_FOR_EVER};
	assert_int_equal(access_revoke(scene->access, ACCESS_EMBEDDED, &revocation, test_wall_s()), ERROR_OK);
}

static void test_revocations_end_sessions(void **state)
{
	struct shard_scene *scene = *state;
	int by_token = sign_in_with(scene, 0, "a", test_token("{\"sub\":\"u\",\"jti\":\"t1\"}"));
	int by_user = sign_in_with(scene, 0, "b", test_token("{\"sub\":\"v\",\"jti\":\"t2\"}"));
	int by_password = scene_sign_in(scene, 0, &(struct visitor){.id = "c", .user = "alice", .password = "secret"});
	int by_client = scene_sign_in(scene, 0, &(struct visitor){.id = "d"});
	int stays = sign_in_with(scene, 0, "e", test_token("{\"sub\":\"w\",\"jti\":\"t3\"}"));
	/* The same text of another kind is another's. */
	shut_out(scene, REVOCATION_CLIENT, "t1");
	shut_out(scene, REVOCATION_TOKEN, "v");
	shut_out(scene, REVOCATION_USER, "d");
	shard_scene_settle(scene);
	scene_expect_nothing(by_token);
	scene_expect_nothing(by_user);
	scene_expect_nothing(by_client);
	shut_out(scene, REVOCATION_TOKEN, "t1");
	shut_out(scene, REVOCATION_USER, "v");
	shut_out(scene, REVOCATION_USER, "alice");
	shut_out(scene, REVOCATION_CLIENT, "d");
	shard_scene_settle(scene);
	scene_expect_end(by_token, MQTT_REASON_NOT_AUTHORIZED);
	assert_int_equal(scene_hear(by_user).type, MQTT_DISCONNECT);
	assert_int_equal(scene_hear(by_password).type, MQTT_DISCONNECT);
	assert_int_equal(scene_hear(by_client).type, MQTT_DISCONNECT);
	scene_expect_nothing(stays);
	assert_int_equal(shard_scene_ends(scene, 0, ERROR_TOKEN_REVOKED), 1);
	assert_int_equal(shard_scene_ends(scene, 0, ERROR_USER_REVOKED), 2);
	assert_int_equal(shard_scene_ends(scene, 0, ERROR_CLIENT_REVOKED), 1);
	close(by_user);
	close(by_password);
	close(by_client);
	leave(scene, stays);
	shard_scene_check_empty(scene);
}

/* Nothing is kept for a user who was shut out; one whose token was may come back with another. */
static void test_sessions_without_a_connection(void **state)
{
	struct shard_scene *scene = *state;
	static const char *const IDS[] = {"user", "token", "client", "other"};
	for (int i = 0; i < 4; i++) {
		const char *token = test_token("{\"sub\":\"%s\",\"jti\":\"t-%s\"}", IDS[i], IDS[i]);
		struct visitor visitor = {.id = IDS[i], .user = "", .password = token, .stays = true};
		int fd = scene_sign_in(scene, 0, &visitor);
		assert_int_equal(subscribe_code(scene, fd, "news"), 0);
		leave(scene, fd);
	}
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_sessions_offline), 4);
	shut_out(scene, REVOCATION_USER, "user");
	shut_out(scene, REVOCATION_TOKEN, "t-token");
	shut_out(scene, REVOCATION_CLIENT, "client");
	shard_scene_settle(scene);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_sessions_offline), 2);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_subscriptions_open), 2);
	/* And one that has a connection is not kept either. */
	const char *token = test_token("{\"sub\":\"other\"}");
	struct visitor other = {.id = "other", .user = "", .password = token, .stays = true};
	int fd = scene_sign_in(scene, 0, &other);
	shut_out(scene, REVOCATION_USER, "other");
	shard_scene_settle(scene);
	scene_expect_end(fd, MQTT_REASON_ADMINISTRATIVE_ACTION);
	assert_int_equal(shard_scene_counter(scene, 0, COUNTER_sessions_offline), 1);
	shut_out(scene, REVOCATION_CLIENT, "token");
	shard_scene_settle(scene);
	shard_scene_check_empty(scene);
}

/* More clients than one turn looks at, and more revocations than are taken from the log at once. */
static void test_a_round_over_many(void **state)
{
	struct shard_scene *scene = *state;
	enum { CLIENTS = 5000, REVOKED = 300 };
	static int fds[CLIENTS];
	scene->quota.limit = CLIENTS + 1;
	shard_scene_restart(scene);
	for (int i = 0; i < CLIENTS; i++) {
		char id[16];
		snprintf(id, sizeof(id), "c%d", i);
		const char *token = test_token("{\"sub\":\"u%d\"}", i);
		fds[i] = scene_come(scene, 0, &(struct visitor){.id = id, .user = "", .password = token});
		if (fds[i] < 0)
			fail_msg("%s was refused: %s", id, error_name(scene->refusal));
		if (i % 2 == 1)
			shard_scene_turn_one(scene, 0);
	}
	shard_scene_settle(scene);
	for (int i = 0; i < REVOKED; i++) {
		char user[16];
		snprintf(user, sizeof(user), "u%d", i * (CLIENTS / REVOKED));
		shut_out(scene, REVOCATION_USER, user);
	}
	uint64_t before = shard_scene_counter(scene, 0, COUNTER_work_units);
	uint32_t turns = 0;
	while (revoke_has_work(&scene->shards[0])) {
		shard_scene_turn_one(scene, 0);
		turns++;
	}
	/* One sweep is enough for all of them. */
	assert_in_range(turns, CLIENTS / 2048, 2 * CLIENTS / 2048 + 2);
	assert_in_range(shard_scene_counter(scene, 0, COUNTER_work_units) - before, CLIENTS,
			CLIENTS + REVOKED * (3 * WORK_END + WORK_NODE));
	shard_scene_settle(scene);
	assert_int_equal(shard_scene_ends(scene, 0, ERROR_USER_REVOKED), REVOKED);
	assert_int_equal(shard_scene_clients(scene, 0), CLIENTS - REVOKED);
	for (int i = 0; i < CLIENTS; i++)
		close(fds[i]);
	shard_scene_settle(scene);
	shard_scene_check_empty(scene);
}

static void test_each_shard_ends_its_own(void **state)
{
	struct shard_scene *scene = *state;
	int fds[2];
	for (uint16_t i = 0; i < 2; i++) {
		char id[2] = {(char)('a' + i), '\0'};
		fds[i] = sign_in_with(scene, i, id, test_token("{\"sub\":\"u\"}"));
	}
	shut_out(scene, REVOCATION_USER, "u");
	shard_scene_turn_one(scene, 1);
	scene_expect_end(fds[1], MQTT_REASON_ADMINISTRATIVE_ACTION);
	scene_expect_nothing(fds[0]);
	shard_scene_turn_one(scene, 0);
	scene_expect_end(fds[0], MQTT_REASON_ADMINISTRATIVE_ACTION);
	shard_scene_settle(scene);
	shard_scene_check_empty(scene);
}

/* A revocation after the gate's look and before the shard's admission. */
static void test_revoked_on_the_way(void **state)
{
	struct shard_scene *scene = *state;
	const char *token = test_token("{\"sub\":\"u\",\"jti\":\"t\"}");
	int fd = scene_come(scene, 0, &(struct visitor){.id = "a", .user = "", .password = token});
	assert_true(fd >= 0);
	shut_out(scene, REVOCATION_TOKEN, "t");
	shard_scene_settle(scene);
	struct slice connack = scene_expect(fd, MQTT_CONNACK);
	assert_int_equal(connack.data[1], MQTT_REASON_NOT_AUTHORIZED);
	assert_int_equal(scene_hear(fd).type, HEARD_END);
	close(fd);
	assert_int_equal(scene_come(scene, 0, &(struct visitor){.id = "a", .user = "", .password = token}), -1);
	assert_int_equal(scene->refusal, ERROR_TOKEN_REVOKED);
	/* Nobody was signed in: the sums of check_empty() are about those who were. */
	assert_int_equal(shard_scene_clients(scene, 0), 0);
	assert_int_equal(shard_scene_ends(scene, 0, ERROR_TOKEN_REVOKED), 1);
	assert_int_equal(atomic_load(&scene->quota.taken), 0);
	assert_int_equal(scene->shards[0].mem.slab.used_bytes, 0);
}

/* Nobody gives way to a newcomer that is not let in. */
static void test_who_is_turned_away_takes_nobody_over(void **state)
{
	struct shard_scene *scene = *state;
	int old = sign_in_with(scene, 0, "a", test_token("{\"sub\":\"u\",\"jti\":\"first\"}"));
	assert_int_equal(subscribe_code(scene, old, "t"), 0);
	const char *token = test_token("{\"sub\":\"u\",\"jti\":\"second\"}");
	int fd = scene_come(scene, 0, &(struct visitor){.id = "a", .user = "", .password = token});
	assert_true(fd >= 0);
	shut_out(scene, REVOCATION_TOKEN, "second");
	shard_scene_settle(scene);
	struct slice connack = scene_expect(fd, MQTT_CONNACK);
	assert_int_equal(connack.data[1], MQTT_REASON_NOT_AUTHORIZED);
	assert_int_equal(scene_hear(fd).type, HEARD_END);
	close(fd);
	scene_publish(old, 5, "t", "x", 0);
	shard_scene_settle(scene);
	scene_expect(old, MQTT_PUBLISH);
	assert_int_equal(shard_scene_ends(scene, 0, ERROR_TAKEN_OVER), 0);
	assert_int_equal(atomic_load(&scene->quota.taken), 1);
	leave(scene, old);
	assert_int_equal(scene->shards[0].mem.slab.used_bytes, 0);
}

static void revoke_in_the_gap(void *context)
{
	shut_out(context, REVOCATION_USER, "u");
	shard_scene_before_sleep(NULL, NULL);
}

/* A revocation between a shard's last look and its sleep is not slept over. */
static void test_revoked_just_before_sleep(void **state)
{
	struct shard_scene *scene = *state;
	int fd = sign_in_with(scene, 0, "a", test_token("{\"sub\":\"u\"}"));
	shard_scene_turn_one(scene, 0);
	assert_int_not_equal(shard_scene_sleep_ms(), 0);
	shard_scene_before_sleep(revoke_in_the_gap, scene);
	shard_scene_turn_one(scene, 0);
	assert_int_equal(shard_scene_sleep_ms(), 0);
	shard_scene_settle(scene);
	scene_expect_end(fd, MQTT_REASON_ADMINISTRATIVE_ACTION);
	shard_scene_check_empty(scene);
}

/* Where nobody has to sign in there are still client ids to revoke, and the gate says so. */
static void test_revoked_where_nobody_signs_in(void **state)
{
	(void)state;
	struct shard_scene *scene = shard_scene_new(1);
	shut_out(scene, REVOCATION_CLIENT, "d");
	assert_int_equal(scene_come(scene, 0, &(struct visitor){.id = "d"}), -1);
	assert_int_equal(scene->refusal, ERROR_CLIENT_REVOKED);
	leave(scene, scene_sign_in(scene, 0, &(struct visitor){.id = "e"}));
	shard_scene_check_empty(scene);
	shard_scene_free(scene);
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)
#define IN_TWO(test) cmocka_unit_test_setup_teardown(test, scene_open_two, scene_close)

int main(void)
{
	log_level_set(LOG_ERROR);
	const struct CMUnitTest tests[] = {
		IN_SCENE(test_rules_of_the_file),
		IN_SCENE(test_rules_are_read_again),
		IN_SCENE(test_a_denied_will_is_no_sign_in),
		IN_SCENE(test_rules_of_a_token_are_kept_once),
		IN_SCENE(test_rights_are_taken_turn_by_turn),
		IN_SCENE(test_only_what_waits_is_looked_at_again),
		IN_SCENE(test_a_review_of_who_goes),
		IN_SCENE(test_a_review_of_who_has_gone),
		IN_SCENE(test_expiry_ends_the_session),
		IN_SCENE(test_leeway_is_for_the_session_too),
		IN_SCENE(test_auth_renews),
		IN_SCENE(test_auth_moves_the_end_either_way),
		IN_SCENE(test_auth_that_ends_the_connection),
		IN_SCENE(test_auth_of_who_signed_in_without_a_method),
		IN_SCENE(test_a_session_is_its_users),
		IN_SCENE(test_revocations_end_sessions),
		IN_SCENE(test_a_round_over_many),
		IN_TWO(test_each_shard_ends_its_own),
		IN_SCENE(test_sessions_without_a_connection),
		IN_SCENE(test_revoked_on_the_way),
		IN_SCENE(test_who_is_turned_away_takes_nobody_over),
		IN_SCENE(test_revoked_just_before_sleep),
		cmocka_unit_test(test_revoked_where_nobody_signs_in),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
