/* The bus over TLS: with the right authority, the wrong one, a client's certificate, and a server that is paused in the
 * middle of records, where libnats waits. */
#include "bus_scene.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct scene {
	struct server server;
	char url[64];
	char certificate[96], key[96], other[96], other_key[96];
};

static void make_certificate(const char *certificate, const char *key, const char *names)
{
	char command[600];
	snprintf(command, sizeof(command),
		 "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj "
		 "/CN=localhost "
		 "-addext subjectAltName=%s -keyout %s -out %s 2>/dev/null",
		 names, key, certificate);
	assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): the test's own words */
}

static void start(struct scene *scene, const char *certificate, const char *key, const char *more)
{
	char lines[600];
	snprintf(lines, sizeof(lines), "tls { cert_file: \"%s\", key_file: \"%s\", timeout: 5 %s }", certificate, key,
		 more);
	server_start(&scene->server, lines);
}

static void scene_init(struct scene *scene)
{
	server_init(&scene->server);
	const char *folder = scene->server.folder;
	snprintf(scene->certificate, sizeof(scene->certificate), "%s/one.pem", folder);
	snprintf(scene->key, sizeof(scene->key), "%s/one.key", folder);
	snprintf(scene->other, sizeof(scene->other), "%s/two.pem", folder);
	snprintf(scene->other_key, sizeof(scene->other_key), "%s/two.key", folder);
	make_certificate(scene->certificate, scene->key, "IP:127.0.0.1,DNS:localhost");
	make_certificate(scene->other, scene->other_key, "DNS:elsewhere");
	start(scene, scene->certificate, scene->key, "");
	snprintf(scene->url, sizeof(scene->url), "tls://127.0.0.1:%u", scene->server.port);
}

static void scene_fini(struct scene *scene)
{
	unlink(scene->certificate);
	unlink(scene->key);
	unlink(scene->other);
	unlink(scene->other_key);
	server_fini(&scene->server);
}

static struct bus_settings settings_of(const struct scene *scene, const char *node)
{
	return (struct bus_settings){
		.urls = scene->url, .cluster = "test", .node = node, .ca_file = scene->certificate};
}

static void test_datagrams_come(void **state)
{
	struct scene scene;
	struct end ends[2];
	(void)state;
	scene_init(&scene);
	struct bus_settings one = settings_of(&scene, "one"), two = settings_of(&scene, "two");
	one.shares_library = two.shares_library = true;
	end_init(&ends[0], &one);
	end_init(&ends[1], &two);
	UNTIL(ends[0].connected == 1 && ends[1].connected == 1, ends, 2);
	send_burst(&ends[0], &ends[1], "two", 10, 'a');
	send_burst(&ends[1], &ends[0], "one", BUS_PAYLOAD_BYTES, 'b');
	send_burst(&ends[0], &ends[1], "two", BUS_PAYLOAD_BYTES, 'c');
	turn_for(ends, 2, 200);
	assert_int_equal(ends[0].lost + ends[1].lost, 0);
	bus_free(ends[0].bus);
	bus_free(ends[1].bus);
	scene_fini(&scene);
}

static void assert_refused(const struct bus_settings *settings, const char *word)
{
	struct end end;
	struct bus_status status;
	end_init(&end, settings);
	UNTIL((bus_status(end.bus, &status), status.error[0] != '\0' && strstr(status.error, word) != NULL), &end, 1);
	assert_int_equal(status.connects, 0);
	bus_free(end.bus);
}

static void test_a_server_that_is_not_trusted_is_refused(void **state)
{
	struct scene scene;
	(void)state;
	scene_init(&scene);
	struct bus_settings settings = settings_of(&scene, "one");
	settings.ca_file = scene.other;
	assert_refused(&settings, "SSL");
	/* Nor by the system's authorities, also where the URL does not say tls but the server does. */
	settings.ca_file = NULL;
	assert_refused(&settings, "SSL");
	snprintf(scene.url, sizeof(scene.url), "nats://127.0.0.1:%u", scene.server.port);
	assert_refused(&settings, "SSL");
	/* A file that is not there. */
	settings.ca_file = "/nowhere/ca.pem";
	assert_refused(&settings, "SSL");
	scene_fini(&scene);
}

static void test_a_server_with_another_name_is_refused(void **state)
{
	struct scene scene;
	(void)state;
	scene_init(&scene);
	server_kill(&scene.server);
	start(&scene, scene.other, scene.other_key, "");
	struct bus_settings settings = settings_of(&scene, "one");
	settings.ca_file = scene.other;
	assert_refused(&settings, "SSL");
	scene_fini(&scene);
}

static void test_a_certificate_of_our_own_is_shown(void **state)
{
	struct scene scene;
	struct end end;
	char more[200];
	(void)state;
	scene_init(&scene);
	server_kill(&scene.server);
	snprintf(more, sizeof(more), ", verify: true, ca_file: \"%s\"", scene.other);
	start(&scene, scene.certificate, scene.key, more);
	struct bus_settings settings = settings_of(&scene, "one");
	settings.certificate = scene.other;
	settings.key = scene.other_key;
	end_init(&end, &settings);
	UNTIL(end.connected == 1, &end, 1);
	bus_free(end.bus);
	settings.certificate = settings.key = NULL;
	assert_refused(&settings, "");
	scene_fini(&scene);
}

static void test_a_paused_server_holds_nobody_up_for_long(void **state)
{
	struct scene scene;
	struct end end;
	static uint8_t bytes[BUS_PAYLOAD_BYTES];
	struct bus_address address;
	(void)state;
	scene_init(&scene);
	struct bus_settings settings = settings_of(&scene, "one");
	end_init(&end, &settings);
	UNTIL(end.connected == 1, &end, 1);
	uint32_t descriptors = open_sockets();
	kill(scene.server.pid, SIGSTOP);
	/* More than the sockets take: libnats waits for the server in the middle of it. */
	bus_address_of(end.bus, slice_string("one"), &address);
	uint64_t begun_ms = clock_now_ms();
	for (uint32_t i = 0; i < 400 && bus_is_connected(end.bus); i++) {
		for (uint32_t j = 0; j < 16; j++)
			bus_send(end.bus, &address, slice_of(bytes, sizeof(bytes)));
		turn(&end, 1);
	}
	UNTIL(end.lost == 1, &end, 1);
	assert_true(clock_now_ms() - begun_ms < BUS_SILENT_MS + 2000);
	assert_true(end.longest_ms < BUS_STALL_MS + 1000);
	kill(scene.server.pid, SIGCONT);
	UNTIL(end.connected == 2, &end, 1);
	assert_int_equal(open_sockets(), descriptors);
	bus_free(end.bus);
	scene_fini(&scene);
}

/* It says that it speaks TLS, and then nothing: libnats waits for ever in a handshake. */
static void test_a_handshake_that_never_ends_is_interrupted(void **state)
{
	static const char INFO[] =
		"INFO {\"server_id\":\"x\",\"version\":\"2.9.10\",\"proto\":1,\"max_payload\":1048576,"
		"\"tls_required\":true}\r\n";
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	struct end end;
	struct bus_status status;
	char url[64];
	(void)state;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(listener, 8), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
	snprintf(url, sizeof(url), "tls://127.0.0.1:%u", ntohs(address.sin_port));
	end_init_plain(&end, url, "one");
	uint64_t begun_ms = clock_now_ms();
	do {
		turn(&end, 1);
		int accepted = accept(listener, NULL, NULL);
		if (accepted >= 0)
			assert_int_equal(write(accepted, INFO, sizeof(INFO) - 1), sizeof(INFO) - 1);
		bus_status(end.bus, &status);
		assert_true(clock_now_ms() < begun_ms + WAIT_MS);
	} while (status.error[0] == '\0');
	assert_true(clock_now_ms() > begun_ms + 1000);
	assert_true(end.longest_ms < 500);
	/* The end does not wait for the next one. */
	turn_for(&end, 1, 500);
	begun_ms = clock_now_ms();
	bus_free(end.bus);
	assert_true(clock_now_ms() < begun_ms + 2000);
	close(listener);
}

static int run_group(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_datagrams_come),
		cmocka_unit_test(test_a_server_that_is_not_trusted_is_refused),
		cmocka_unit_test(test_a_server_with_another_name_is_refused),
		cmocka_unit_test(test_a_certificate_of_our_own_is_shown),
		cmocka_unit_test(test_a_paused_server_holds_nobody_up_for_long),
		cmocka_unit_test(test_a_handshake_that_never_ends_is_interrupted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return server_is_there() ? run_apart(run_group) : 77; /* skipped */
}
