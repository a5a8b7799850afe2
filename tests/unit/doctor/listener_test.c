/* What follows from a listener's certificates. */
#include "doctor/listener/listener.h"

#include <openssl/x509_vfy.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define NOW_S INT64_C(1800000000)
#define DAYS(count) ((count)*INT64_C(86400))

static void test_verdicts(void **state)
{
	(void)state;
	static const struct {
		int64_t begins_s, expires_s;
		long verified;
		bool good;
		const char *warning; /* NULL: none */
	} CASES[] = {
		{-DAYS(10), DAYS(80), X509_V_OK, true, NULL},
		/* From a third of its time on, and for 30 days at most. */
		{-DAYS(60), DAYS(30), X509_V_OK, true, NULL},
		{-DAYS(61), DAYS(29), X509_V_OK, true, "ends in 29 days"},
		{-DAYS(700), DAYS(31), X509_V_OK, true, NULL},
		{-DAYS(3), DAYS(3), X509_V_OK, true, NULL},
		{-DAYS(5), DAYS(1), X509_V_OK, true, "ends in 1 days"},
		{-DAYS(90), 0, X509_V_ERR_CERT_HAS_EXPIRED, false, "has expired"},
		{DAYS(1), DAYS(90), X509_V_ERR_CERT_NOT_YET_VALID, false, "not valid yet"},
		{-DAYS(1), DAYS(90), X509_V_ERR_HOSTNAME_MISMATCH, false, "not for the name"},
		{-DAYS(1), DAYS(90), X509_V_ERR_IP_ADDRESS_MISMATCH, false, "not for the name"},
		{-DAYS(1), DAYS(90), X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, false, "below /CN=between"},
		{-DAYS(1), DAYS(90), X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, false, "below /CN=between"},
		{-DAYS(1), DAYS(90), X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, false, "self-signed"},
		{-DAYS(1), DAYS(90), X509_V_ERR_INVALID_PURPOSE, false, "purpose"},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct listener_verdict verdict = {
			.target = "h:1",
			.issuer = "/CN=between",
			.chain = 1,
			.begins_s = NOW_S + CASES[i].begins_s,
			.expires_s = NOW_S + CASES[i].expires_s,
			.verified = CASES[i].verified,
		};
		listener_judge(&verdict, NOW_S);
		if (verdict.good != CASES[i].good || verdict.warning_count != (CASES[i].warning != NULL ? 1 : 0))
			fail_msg("case %zu: good %d, %u warnings: %s", i, verdict.good, verdict.warning_count,
				 verdict.warnings[0]);
		if (CASES[i].warning != NULL && strstr(verdict.warnings[0], CASES[i].warning) == NULL)
			fail_msg("case %zu: %s", i, verdict.warnings[0]);
	}
}

static void test_both_that_and_this(void **state)
{
	(void)state;
	struct listener_verdict verdict = {.target = "h:1",
					   .begins_s = NOW_S - DAYS(90),
					   .expires_s = NOW_S - DAYS(1),
					   .verified = X509_V_ERR_HOSTNAME_MISMATCH};
	listener_judge(&verdict, NOW_S);
	assert_int_equal(verdict.warning_count, 2);
	assert_false(verdict.good);
	json_t *json = listener_json(&verdict);
	assert_int_equal(json_array_size(json_object_get(json, "warnings")), 2);
	assert_true(json_is_false(json_object_get(json, "good")));
	json_decref(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_both_that_and_this),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
