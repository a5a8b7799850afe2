/* Commands that go to the server that has their key: against two servers whose answers stand written down before they
 * are asked for. */
#include "bridge/redis_nodes.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define CONNECTIONS_MAX 32u
#define WORDS_MAX 512u
#define ANSWER_BYTES 256u

/* A thread that answers commands on a port: CLUSTER SLOTS and ROLE by what is set, PING, and others in the order of a
 * list of answers, each ended by a bar. */
struct server {
	pthread_t thread;
	pthread_mutex_t lock; /* of what connections share */
	int listener;
	uint16_t port;
	const char *answers;
	char slots[ANSWER_BYTES];
	char heard[WORDS_MAX]; /* all words of commands that came from the list */
};

static void hear_word(struct server *server, const char *word)
{
	size_t size = strlen(server->heard);
	snprintf(server->heard + size, sizeof(server->heard) - size, "%s ", word);
}

static void send_text(FILE *stream, const char *text, size_t size)
{
	assert_int_equal(fwrite(text, 1, size, stream), size);
	assert_int_equal(fflush(stream), 0);
}

/* False: the list says that the connection ends here. */
static bool answer_next(struct server *server, FILE *out)
{
	size_t size = strcspn(server->answers, "|");
	const char *text = server->answers;
	server->answers += size + (text[size] == '|' ? 1 : 0);
	if (size == 0)
		return false;
	send_text(out, text, size);
	return true;
}

/* One command. False: the connection ends. */
static bool serve_command(struct server *server, FILE *in, FILE *out)
{
	char line[ANSWER_BYTES];
	char words[8][ANSWER_BYTES];
	int count = 0;
	if (fgets(line, sizeof(line), in) == NULL)
		return false;
	count = atoi(line + 1);
	for (int i = 0; i < count && i < 8; i++) {
		if (fgets(line, sizeof(line), in) == NULL || fgets(words[i], sizeof(words[i]), in) == NULL)
			return false;
		words[i][strcspn(words[i], "\r\n")] = '\0';
	}
	if (count == 2 && strcmp(words[0], "CLUSTER") == 0) {
		send_text(out, server->slots, strlen(server->slots));
		return true;
	}
	if (strcmp(words[0], "PING") == 0) {
		send_text(out, "+PONG\r\n", 7);
		return true;
	}
	pthread_mutex_lock(&server->lock);
	for (int i = 0; i < count && i < 8; i++)
		hear_word(server, words[i]);
	bool goes_on = answer_next(server, out);
	pthread_mutex_unlock(&server->lock);
	return goes_on;
}

struct served {
	struct server *server;
	FILE *in;
	FILE *out;
	pthread_t thread;
};

static void *connection_main(void *argument)
{
	struct served *served = argument;
	while (serve_command(served->server, served->in, served->out))
		continue;
	fclose(served->out);
	fclose(served->in);
	return NULL;
}

/* A thread for each connection, until the listener is shut down. */
static void *server_main(void *argument)
{
	struct server *server = argument;
	struct served served[CONNECTIONS_MAX];
	uint32_t count = 0;
	for (; count < CONNECTIONS_MAX; count++) {
		int fd = accept(server->listener, NULL, NULL);
		if (fd < 0)
			break;
		served[count] = (struct served){.server = server, .in = fdopen(fd, "r"), .out = fdopen(dup(fd), "w")};
		assert_int_equal(pthread_create(&served[count].thread, NULL, connection_main, &served[count]), 0);
	}
	while (count != 0)
		pthread_join(served[--count].thread, NULL);
	return NULL;
}

static void server_open(struct server *server)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	memset(server, 0, sizeof(*server));
	assert_int_equal(pthread_mutex_init(&server->lock, NULL), 0);
	server->answers = "";
	server->listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(server->listener, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(server->listener, CONNECTIONS_MAX), 0);
	assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &size), 0);
	server->port = ntohs(address.sin_port);
}

static void server_start(struct server *server)
{
	assert_int_equal(pthread_create(&server->thread, NULL, server_main, server), 0);
}

/* After all connections were closed. */
static void server_close(struct server *server)
{
	shutdown(server->listener, SHUT_RDWR);
	pthread_join(server->thread, NULL);
	close(server->listener);
}

struct scene {
	struct server one;
	struct server other;
	struct redis_target target;
	struct redis_nodes *nodes;
};

static void write_slots(struct server *server, uint16_t port)
{
	snprintf(server->slots, sizeof(server->slots),
		 "*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$9\r\n127.0.0.1\r\n:%u\r\n$2\r\nid\r\n", port);
}

/* The first server has all slots, and is the one that the URL names. */
static void scene_open(struct scene *scene, enum redis_kind kind, const char *one, const char *other)
{
	memset(scene, 0, sizeof(*scene));
	server_open(&scene->one);
	server_open(&scene->other);
	scene->one.answers = one;
	scene->other.answers = other;
	write_slots(&scene->one, scene->one.port);
	write_slots(&scene->other, scene->other.port);
	scene->target.url.kind = kind;
	scene->target.url.seed_count = 1;
	snprintf(scene->target.url.seeds[0].host, sizeof(scene->target.url.seeds[0].host), "127.0.0.1");
	scene->target.url.seeds[0].port = scene->one.port;
	scene->nodes = redis_nodes_new(&scene->target);
	assert_non_null(scene->nodes);
	server_start(&scene->one);
	server_start(&scene->other);
}

static void scene_close(struct scene *scene)
{
	redis_nodes_free(scene->nodes);
	server_close(&scene->one);
	server_close(&scene->other);
}

static redisReply *get(struct scene *scene)
{
	const char *words[] = {"GET", "k"};
	return redis_nodes_ask(scene->nodes, slice_string("k"), 2, words, NULL);
}

static void assert_get(struct scene *scene, int type, const char *text)
{
	redisReply *reply = get(scene);
	assert_non_null(reply);
	assert_int_equal(reply->type, type);
	assert_string_equal(reply->str, text);
	freeReplyObject(reply);
}

static void test_one_server(void **state)
{
	(void)state;
	struct scene scene;
	scene_open(&scene, REDIS_SINGLE, "+one\r\n|-MOVED 7629 127.0.0.1:1\r\n|", "");
	assert_int_equal(redis_nodes_count(scene.nodes), 1);
	assert_get(&scene, REDIS_REPLY_STATUS, "one");
	/* It is an error like others. */
	assert_get(&scene, REDIS_REPLY_ERROR, "MOVED 7629 127.0.0.1:1");
	assert_true(redis_nodes_ping(scene.nodes));
	scene_close(&scene);
	assert_string_equal(scene.one.heard, "GET k GET k ");
}

static void test_moved(void **state)
{
	(void)state;
	struct scene scene;
	char moved[ANSWER_BYTES] = "";
	scene_open(&scene, REDIS_CLUSTER, moved, "+other\r\n|+again\r\n|");
	snprintf(moved, sizeof(moved), "-MOVED 7629 127.0.0.1:%u\r\n|", scene.other.port);
	assert_get(&scene, REDIS_REPLY_STATUS, "other");
	/* It is remembered, whatever the map says. */
	assert_get(&scene, REDIS_REPLY_STATUS, "again");
	scene_close(&scene);
	assert_string_equal(scene.one.heard, "GET k ");
	assert_string_equal(scene.other.heard, "GET k GET k ");
}

static void test_asked(void **state)
{
	(void)state;
	struct scene scene;
	char asked[ANSWER_BYTES] = "";
	scene_open(&scene, REDIS_CLUSTER, asked, "+OK\r\n|+other\r\n|");
	snprintf(asked, sizeof(asked), "-ASK 7629 127.0.0.1:%u\r\n|+one\r\n|", scene.other.port);
	assert_get(&scene, REDIS_REPLY_STATUS, "other");
	/* That was for once. */
	assert_get(&scene, REDIS_REPLY_STATUS, "one");
	scene_close(&scene);
	assert_string_equal(scene.other.heard, "ASKING GET k ");
}

/* Sent from one to the other and back, until it is given up. */
static void test_round_in_circles(void **state)
{
	(void)state;
	struct scene scene;
	char there[4 * ANSWER_BYTES] = "";
	char back[4 * ANSWER_BYTES] = "";
	scene_open(&scene, REDIS_CLUSTER, there, back);
	for (int i = 0; i < 8; i++) {
		size_t size = strlen(there);
		snprintf(there + size, sizeof(there) - size, "-MOVED 7629 127.0.0.1:%u\r\n|", scene.other.port);
		size = strlen(back);
		snprintf(back + size, sizeof(back) - size, "-MOVED 7629 127.0.0.1:%u\r\n|", scene.one.port);
	}
	redisReply *reply = get(&scene);
	assert_non_null(reply);
	assert_int_equal(reply->type, REDIS_REPLY_ERROR);
	freeReplyObject(reply);
	scene_close(&scene);
	assert_string_equal(scene.one.heard, "GET k GET k GET k ");
	assert_string_equal(scene.other.heard, "GET k GET k GET k ");
}

static void test_a_connection_that_is_lost(void **state)
{
	(void)state;
	struct scene scene;
	/* At the first command it ends. */
	scene_open(&scene, REDIS_CLUSTER, "|+one\r\n|", "");
	assert_null(get(&scene));
	assert_non_null(strstr(redis_nodes_fault(scene.nodes), "the server closed the connection"));
	assert_get(&scene, REDIS_REPLY_STATUS, "one");
	/* The caller has had enough of it. */
	struct redis_link *link = redis_nodes_link(scene.nodes, slice_string("k"));
	assert_non_null(link);
	redis_link_fail(link, "too late");
	redis_nodes_lose(scene.nodes, link);
	assert_string_equal(strstr(redis_nodes_fault(scene.nodes), "too"), "too late");
	assert_non_null(redis_nodes_link(scene.nodes, slice_string("k")));
	scene_close(&scene);
}

static void test_slots_without_a_master(void **state)
{
	(void)state;
	struct scene scene;
	scene_open(&scene, REDIS_CLUSTER, "", "");
	snprintf(scene.one.slots, sizeof(scene.one.slots),
		 "*1\r\n*3\r\n:0\r\n:0\r\n*3\r\n$0\r\n\r\n:%u\r\n$2\r\nid\r\n", scene.one.port);
	assert_null(get(&scene));
	assert_string_equal(redis_nodes_fault(scene.nodes), "no master of the cluster has the key's slot");
	/* It is asked anew, and its host is the one that was asked. */
	assert_true(redis_nodes_refresh(scene.nodes));
	assert_int_equal(redis_nodes_count(scene.nodes), 1);
	assert_string_equal(redis_nodes_place(scene.nodes, 0)->host, "127.0.0.1");
	assert_non_null(redis_nodes_at(scene.nodes, 0));
	scene_close(&scene);
}

/* No server is tried any more. */
static void test_given_up(void **state)
{
	(void)state;
	struct scene scene;
	scene_open(&scene, REDIS_CLUSTER, "", "");
	redis_nodes_give_up(scene.nodes);
	assert_null(get(&scene));
	assert_string_equal(redis_nodes_fault(scene.nodes), "it is given up");
	scene_close(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_server),
		cmocka_unit_test(test_moved),
		cmocka_unit_test(test_asked),
		cmocka_unit_test(test_round_in_circles),
		cmocka_unit_test(test_a_connection_that_is_lost),
		cmocka_unit_test(test_slots_without_a_master),
		cmocka_unit_test(test_given_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
