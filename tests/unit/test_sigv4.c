/*
 * test_sigv4.c: signatures against AWS's published test suite.
 *
 * The rows are those of awslabs/aws-c-auth, tests/aws-signing-test-suite/v4, that normalise the
 * path (those that don't are about S3): request, canonical request, signature. Where the suite
 * says so the session token is sent behind the signature, which is the same as to have none here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>

#include "common/sigv4.h"

#define ACCESS_KEY_ID "AKIDEXAMPLE"
#define SECRET        "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define SHORT_TOKEN   "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267"
#define STS_TOKEN                                                                                  \
    "AQoDYXdzEPT//////////"                                                                        \
    "wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwth" \
    "Ax7mSEI/qkPpKPi/"                                                                             \
    "kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcH" \
    "NVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+"                                             \
    "scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="

/* 2015-08-30T12:36:00Z */
#define NOW_US INT64_C(1440938160000000)

static const struct row {
    const char *name, *method, *target;
    struct sigv4_field fields[6];
    size_t n_fields;
    const char *body, *token, *canonical, *signature;
} rows[] = {
    {"get-header-key-duplicate",
     "GET",
     "/",
     {{SLICE_LIT("Host"), SLICE_LIT("example.amazonaws.com")},
      {SLICE_LIT("My-Header1"), SLICE_LIT("value2")},
      {SLICE_LIT("My-Header1"), SLICE_LIT("value2")},
      {SLICE_LIT("My-Header1"), SLICE_LIT("value1")}},
     4,
     "",
     NULL,
     "GET\n/"
     "\n\nhost:example.amazonaws.com\nmy-header1:value2,value2,value1\nx-amz-date:"
     "20150830T123600Z\n\nhost;my-header1;x-amz-"
     "date\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
     "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
    {"get-header-value-multiline",
     "GET",
     "/",
     {{SLICE_LIT("Host"), SLICE_LIT("example.amazonaws.com")},
      {SLICE_LIT("My-Header1"), SLICE_LIT("value1\n  value2\n     value3")}},
     2,
     "",
     NULL,
     "GET\n/\n\nhost:example.amazonaws.com\nmy-header1:value1 value2 "
     "value3\nx-amz-date:20150830T123600Z\n\nhost;my-header1;x-amz-"
     "date\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
     "cfd34249e4b1c8d6b91ef74165d41a32e5fab3306300901bb65a51a73575eefd"},
    {"get-header-value-order",
     "GET",
     "/",
     {{SLICE_LIT("Host"), SLICE_LIT("example.amazonaws.com")},
      {SLICE_LIT("My-Header1"), SLICE_LIT("value4")},
      {SLICE_LIT("My-Header1"), SLICE_LIT("value1")},
      {SLICE_LIT("My-Header1"), SLICE_LIT("value3")},
      {SLICE_LIT("My-Header1"), SLICE_LIT("value2")}},
     5,
     "",
     NULL,
     "GET\n/"
     "\n\nhost:example.amazonaws.com\nmy-header1:value4,value1,value3,value2\nx-amz-date:"
     "20150830T123600Z\n\nhost;my-header1;x-amz-"
     "date\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
     "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"},
    {"get-header-value-trim",
     "GET",
     "/",
     {{SLICE_LIT("Host"), SLICE_LIT("example.amazonaws.com")},
      {SLICE_LIT("My-Header1"), SLICE_LIT(" value1")},
      {SLICE_LIT("My-Header2"), SLICE_LIT(" \"a   b   c\"")}},
     3,
     "",
     NULL,
     "GET\n/\n\nhost:example.amazonaws.com\nmy-header1:value1\nmy-header2:\"a b "
     "c\"\nx-amz-date:20150830T123600Z\n\nhost;my-header1;my-header2;x-amz-"
     "date\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
     "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
    {"get-relative-normalized",
     "GET",
     "/example/..",
     {{SLICE_LIT("Host"), SLICE_LIT("example.amazonaws.com")}},
     1,
     "",
     NULL,
     "GET\n/"
     "\n\nhost:example.amazonaws.com\nx-amz-date:20150830T123600Z\n\nhost;x-amz-"
     "date\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"get-relative-relative-normalized",
     "GET",
     "/example1/example2/../..",
     {{SLICE_LIT("Host"), SLICE_LIT("example.amazonaws.com")}},
     1,
     "",
     NULL,
     "GET\n/"
     "\n\nhost:example.amazonaws.com\nx-amz-date:20150830T123600Z\n\nhost;x-amz-"
     "date\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"get-slash-dot-slash-normalized",
     "GET",
     "/./",
     {{SLICE_LIT("Host"), SLICE_LIT("example.amazonaws.com")}},
     1,
     "",
     NULL,
     "GET\n/"
     "\n\nhost:example.amazonaws.com\nx-amz-date:20150830T123600Z\n\nhost;x-amz-"
     "date\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"get-slash-normalized",
     "GET",
     "//",
     {{SLICE_LIT("Host"), SLICE_LIT("example.amazonaws.com")}},
     1,
     "",
     NULL,
     "GET\n/"
     "\n\nhost:example.amazonaws.com\nx-amz-date:20150830T123600Z\n\nhost;x-amz-"
     "date\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"get-slash-pointless-dot-normalized",
     "GET",
     "/./example",
     {{SLICE_LIT("Host"), SLICE_LIT("example.amazonaws.com")}},
     1,
     "",
     NULL,
     "GET\n/"
     "example\n\nhost:example.amazonaws.com\nx-amz-date:20150830T123600Z\n\nhost;x-amz-"
     "date\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
     "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5"},
    {"get-slashes-normalized",
     "GET",
     "//example//",
     {{SLICE_LIT("Host"), SLICE_LIT("example.amazonaws.com")}},
     1,
     "",
     NULL,
     "GET\n/example/"
     "\n\nhost:example.amazonaws.com\nx-amz-date:20150830T123600Z\n\nhost;x-amz-"
     "date\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
     "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"},
    {"get-space-normalized",
     "GET",
     "/example space/",
     {{SLICE_LIT("Host"), SLICE_LIT("example.amazonaws.com")}},
     1,
     "",
     NULL,
     "GET\n/example%20space/"
     "\n\nhost:example.amazonaws.com\nx-amz-date:20150830T123600Z\n\nhost;x-amz-"
     "date\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
     "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"},
    {"get-unreserved",
     "GET",
     "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
     {{SLICE_LIT("Host"), SLICE_LIT("example.amazonaws.com")}},
     1,
     "",
     NULL,
     "GET\n/"
     "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz\n\nhost:example.amazonaws."
     "com\nx-amz-date:20150830T123600Z\n\nhost;x-amz-"
     "date\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
     "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
    {"get-utf8",
     "GET",
     "/\341\210\264",
     {{SLICE_LIT("Host"), SLICE_LIT("example.amazonaws.com")}},
     1,
     "",
     NULL,
     "GET\n/"
     "%E1%88%B4\n\nhost:example.amazonaws.com\nx-amz-date:20150830T123600Z\n\nhost;x-amz-"
     "date\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
     "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
    {"get-vanilla",
     "GET",
     "/",
     {{SLICE_LIT("Host"), SLICE_LIT("example.amazonaws.com")}},
     1,
     "",
     NULL,
     "GET\n/"
     "\n\nhost:example.amazonaws.com\nx-amz-date:20150830T123600Z\n\nhost;x-amz-"
     "date\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"get-vanilla-empty-query-key",
     "GET",
     "/?Param1=value1",
     {{SLICE_LIT("Host"), SLICE_LIT("example.amazonaws.com")}},
     1,
     "",
     NULL,
     "GET\n/"
     "\nParam1=value1\nhost:example.amazonaws.com\nx-amz-date:20150830T123600Z\n\nhost;x-amz-"
     "date\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
     "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
    {"get-vanilla-query",
     "GET",
     "/",
     {{SLICE_LIT("Host"), SLICE_LIT("example.amazonaws.com")}},
     1,
     "",
     NULL,
     "GET\n/"
     "\n\nhost:example.amazonaws.com\nx-amz-date:20150830T123600Z\n\nhost;x-amz-"
     "date\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"get-vanilla-query-order-encoded",
     "GET",
     "/?Param-3=Value3&Param=Value2&%E1%88%B4=Value1",
     {{SLICE_LIT("Host"), SLICE_LIT("example.amazonaws.com")}},
     1,
     "",
     NULL,
     "GET\n/"
     "\n%E1%88%B4=Value1&Param=Value2&Param-3=Value3\nhost:example.amazonaws.com\nx-amz-date:"
     "20150830T123600Z\n\nhost;x-amz-"
     "date\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
     "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac"},
    {"get-vanilla-query-order-key-case",
     "GET",
     "/?Param2=value2&Param1=value1",
     {{SLICE_LIT("Host"), SLICE_LIT("example.amazonaws.com")}},
     1,
     "",
     NULL,
     "GET\n/"
     "\nParam1=value1&Param2=value2\nhost:example.amazonaws.com\nx-amz-date:"
     "20150830T123600Z\n\nhost;x-amz-"
     "date\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
     "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
    {"get-vanilla-query-unreserved",
     "GET",
     "/?-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz=-._~"
     "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
     {{SLICE_LIT("Host"), SLICE_LIT("example.amazonaws.com")}},
     1,
     "",
     NULL,
     "GET\n/"
     "\n-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz=-._~"
     "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz\nhost:example.amazonaws."
     "com\nx-amz-date:20150830T123600Z\n\nhost;x-amz-"
     "date\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
     "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
    {"get-vanilla-utf8-query",
     "GET",
     "/?\341\210\264=bar",
     {{SLICE_LIT("Host"), SLICE_LIT("example.amazonaws.com")}},
     1,
     "",
     NULL,
     "GET\n/"
     "\n%E1%88%B4=bar\nhost:example.amazonaws.com\nx-amz-date:20150830T123600Z\n\nhost;x-amz-"
     "date\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
     "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
    {"get-vanilla-with-session-token",
     "GET",
     "/",
     {{SLICE_LIT("Host"), SLICE_LIT("example.amazonaws.com")}},
     1,
     "",
     SHORT_TOKEN,
     "GET\n/"
     "\n\nhost:example.amazonaws.com\nx-amz-date:20150830T123600Z\nx-amz-security-token:"
     "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267\n\nhost;x-amz-date;x-amz-"
     "security-token\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
     "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"},
    {"post-header-key-case",
     "POST",
     "/",
     {{SLICE_LIT("Host"), SLICE_LIT("example.amazonaws.com")}},
     1,
     "",
     NULL,
     "POST\n/"
     "\n\nhost:example.amazonaws.com\nx-amz-date:20150830T123600Z\n\nhost;x-amz-"
     "date\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
     "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
    {"post-header-key-sort",
     "POST",
     "/",
     {{SLICE_LIT("Host"), SLICE_LIT("example.amazonaws.com")},
      {SLICE_LIT("My-Header1"), SLICE_LIT("value1")}},
     2,
     "",
     NULL,
     "POST\n/"
     "\n\nhost:example.amazonaws.com\nmy-header1:value1\nx-amz-date:20150830T123600Z\n\nhost;my-"
     "header1;x-amz-date\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
     "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"},
    {"post-header-value-case",
     "POST",
     "/",
     {{SLICE_LIT("Host"), SLICE_LIT("example.amazonaws.com")},
      {SLICE_LIT("My-Header1"), SLICE_LIT("VALUE1")}},
     2,
     "",
     NULL,
     "POST\n/"
     "\n\nhost:example.amazonaws.com\nmy-header1:VALUE1\nx-amz-date:20150830T123600Z\n\nhost;my-"
     "header1;x-amz-date\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
     "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"},
    {"post-sts-header-after",
     "POST",
     "/",
     {{SLICE_LIT("Host"), SLICE_LIT("example.amazonaws.com")}},
     1,
     "",
     NULL,
     "POST\n/"
     "\n\nhost:example.amazonaws.com\nx-amz-date:20150830T123600Z\n\nhost;x-amz-"
     "date\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
     "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
    {"post-sts-header-before",
     "POST",
     "/",
     {{SLICE_LIT("Host"), SLICE_LIT("example.amazonaws.com")}},
     1,
     "",
     STS_TOKEN,
     "POST\n/"
     "\n\nhost:example.amazonaws.com\nx-amz-date:20150830T123600Z\nx-amz-security-token:"
     "AQoDYXdzEPT//////////"
     "wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthA"
     "x7mSEI/qkPpKPi/"
     "kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHN"
     "VXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+"
     "scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/"
     "oLxBA==\n\nhost;x-amz-date;x-amz-security-"
     "token\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
     "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"},
    {"post-vanilla",
     "POST",
     "/",
     {{SLICE_LIT("Host"), SLICE_LIT("example.amazonaws.com")}},
     1,
     "",
     NULL,
     "POST\n/"
     "\n\nhost:example.amazonaws.com\nx-amz-date:20150830T123600Z\n\nhost;x-amz-"
     "date\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
     "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
    {"post-vanilla-empty-query-value",
     "POST",
     "/?Param1=value1",
     {{SLICE_LIT("Host"), SLICE_LIT("example.amazonaws.com")}},
     1,
     "",
     NULL,
     "POST\n/"
     "\nParam1=value1\nhost:example.amazonaws.com\nx-amz-date:20150830T123600Z\n\nhost;x-amz-"
     "date\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
     "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"},
    {"post-vanilla-query",
     "POST",
     "/?Param1=value1",
     {{SLICE_LIT("Host"), SLICE_LIT("example.amazonaws.com")}},
     1,
     "",
     NULL,
     "POST\n/"
     "\nParam1=value1\nhost:example.amazonaws.com\nx-amz-date:20150830T123600Z\n\nhost;x-amz-"
     "date\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
     "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"},
    {"post-x-www-form-urlencoded",
     "POST",
     "/",
     {{SLICE_LIT("Content-Type"), SLICE_LIT("application/x-www-form-urlencoded")},
      {SLICE_LIT("Host"), SLICE_LIT("example.amazonaws.com")},
      {SLICE_LIT("Content-Length"), SLICE_LIT("13")},
      {SLICE_LIT("X-Amz-Content-Sha256"),
       SLICE_LIT("9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e")}},
     4,
     "Param1=value1",
     NULL,
     "POST\n/\n\ncontent-length:13\ncontent-type:application/"
     "x-www-form-urlencoded\nhost:example.amazonaws.com\nx-amz-content-sha256:"
     "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e\nx-amz-date:"
     "20150830T123600Z\n\ncontent-length;content-type;host;x-amz-content-sha256;x-amz-"
     "date\n9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e",
     "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b"},
    {"post-x-www-form-urlencoded-parameters",
     "POST",
     "/",
     {{SLICE_LIT("Content-Type"), SLICE_LIT("application/x-www-form-urlencoded; charset=utf-8")},
      {SLICE_LIT("Host"), SLICE_LIT("example.amazonaws.com")},
      {SLICE_LIT("Content-Length"), SLICE_LIT("13")},
      {SLICE_LIT("X-Amz-Content-Sha256"),
       SLICE_LIT("9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e")}},
     4,
     "Param1=value1",
     NULL,
     "POST\n/\n\ncontent-length:13\ncontent-type:application/x-www-form-urlencoded; "
     "charset=utf-8\nhost:example.amazonaws.com\nx-amz-content-sha256:"
     "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e\nx-amz-date:"
     "20150830T123600Z\n\ncontent-length;content-type;host;x-amz-content-sha256;x-amz-"
     "date\n9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e",
     "328d1b9eaadca9f5818ef05e8392801e091653bafec24fcab71e7344e7f51422"},
};

static void init(struct sigv4_signer *s, const char *token)
{
    struct sigv4_credentials c = {SLICE_LIT(ACCESS_KEY_ID), SLICE_LIT(SECRET), slice_str(token)};
    sigv4_signer_init(s, &c, SLICE_LIT("us-east-1"), SLICE_LIT("service"));
}

static void expect_authorization(const struct row *row, const struct sigv4_signature *sig)
{
    static const char prefix[] =
        "AWS4-HMAC-SHA256 Credential=" ACCESS_KEY_ID "/20150830/us-east-1/service/aws4_request, ";
    struct slice a = sig->authorization;
    assert_true(slice_starts_with(a, slice_str(prefix)));
    assert_true(a.n > 64 && slice_eq_str(slice_of(a.p + a.n - 64, 64), row->signature));
}

static void published_suite(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct row *row = &rows[i];
        struct sigv4_signer s;
        struct sigv4_signature sig;
        uint8_t hash[CRYPTO_SHA256_BYTES];
        crypto_sha256(row->body, strlen(row->body), hash);
        struct sigv4_request r = {slice_str(row->method), slice_str(row->target), row->fields,
                                  row->n_fields, hash};
        init(&s, row->token);
        /* The second time the key of the day is the kept one. */
        for (int again = 0; again < 2; again++) {
            assert_int_equal(sigv4_sign(&s, &r, NOW_US, &sig), 0);
            if (!slice_eq_str(sig.canonical, row->canonical))
                fail_msg("%s:\n%.*s\nexpected\n%s", row->name, SLICE_FMT(sig.canonical),
                         row->canonical);
            if (strcmp(sig.hex, row->signature) != 0)
                fail_msg("%s: %s", row->name, sig.hex);
            assert_string_equal(sig.date, "20150830T123600Z");
            expect_authorization(row, &sig);
        }
        sigv4_signer_fini(&s);
    }
}

/* A model id in the path is encoded once on the wire and once more in what is signed; expected
 * values from botocore 1.44 (botocore.auth.SigV4Auth). */
static void bedrock_path(void **state)
{
    static const struct {
        const char *target, *token, *body, *authorization;
    } cases[] = {
        {"/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse", NULL,
         "{\"messages\":[]}",
         "AWS4-HMAC-SHA256 Credential=" ACCESS_KEY_ID "/20150830/us-east-1/bedrock/aws4_request, "
         "SignedHeaders=content-type;host;x-amz-date, "
         "Signature=7415b2c1e839b363c983fcf2b2b9777726647dd92df0cc0ce218cffeeb8932c8"},
        {"/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fx"
         "/converse-stream",
         "TOKEN", "",
         "AWS4-HMAC-SHA256 Credential=" ACCESS_KEY_ID "/20150830/us-east-1/bedrock/aws4_request, "
         "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, "
         "Signature=9329ce484c1d64bfe90a38f30a73011f99071a9e5d0d931ce6e00d95f88d2bd8"},
    };
    static const struct sigv4_field fields[] = {
        {SLICE_LIT("host"), SLICE_LIT("bedrock-runtime.us-east-1.amazonaws.com")},
        {SLICE_LIT("content-type"), SLICE_LIT("application/json")},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct sigv4_credentials c = {SLICE_LIT(ACCESS_KEY_ID), SLICE_LIT(SECRET),
                                      slice_str(cases[i].token)};
        struct sigv4_signer s;
        struct sigv4_signature sig;
        uint8_t hash[CRYPTO_SHA256_BYTES];
        crypto_sha256(cases[i].body, strlen(cases[i].body), hash);
        struct sigv4_request r = {SLICE_LIT("POST"), slice_str(cases[i].target), fields,
                                  ARRAY_LEN(fields), hash};
        sigv4_signer_init(&s, &c, SLICE_LIT("us-east-1"), SLICE_LIT("bedrock"));
        assert_int_equal(sigv4_sign(&s, &r, NOW_US, &sig), 0);
        assert_true(slice_eq_str(sig.authorization, cases[i].authorization));
        assert_true(slice_eq_str(sig.security_token, cases[i].token ? cases[i].token : ""));
        sigv4_signer_fini(&s);
    }
}

/* Keys that rotate: nothing derived from the ones before is used. */
static void the_key_follows_the_keys(void **state)
{
    struct sigv4_signer s, fresh;
    struct sigv4_signature a, b;
    uint8_t hash[CRYPTO_SHA256_BYTES] = {0};
    struct sigv4_field host = {SLICE_LIT("host"), SLICE_LIT("example.amazonaws.com")};
    struct sigv4_request r = {SLICE_LIT("GET"), SLICE_LIT("/"), &host, 1, hash};
    struct sigv4_credentials other = {.access_key_id = SLICE_LIT("ASIAOTHER"),
                                      .secret = SLICE_LIT("other-secret"),
                                      .session_token = SLICE_LIT("other-token")};
    init(&s, NULL);
    assert_int_equal(sigv4_sign(&s, &r, NOW_US, &a), 0);
    sigv4_signer_use(&s, &other);
    assert_int_equal(sigv4_sign(&s, &r, NOW_US, &a), 0);
    sigv4_signer_init(&fresh, &other, s.region, s.service);
    assert_int_equal(sigv4_sign(&fresh, &r, NOW_US, &b), 0);
    assert_string_equal(a.hex, b.hex);
    assert_true(slice_eq_str(a.security_token, "other-token"));
    sigv4_signer_fini(&fresh);
    sigv4_signer_fini(&s);
}

static void the_key_follows_the_day(void **state)
{
    struct sigv4_signer s, fresh;
    struct sigv4_signature a, b;
    uint8_t hash[CRYPTO_SHA256_BYTES] = {0};
    struct sigv4_field host = {SLICE_LIT("host"), SLICE_LIT("example.amazonaws.com")};
    struct sigv4_request r = {SLICE_LIT("GET"), SLICE_LIT("/"), &host, 1, hash};
    int64_t day_us = INT64_C(86400000000);
    init(&s, NULL);
    for (int day = 0; day < 3; day++) {
        init(&fresh, NULL);
        assert_int_equal(sigv4_sign(&s, &r, NOW_US + day * day_us, &a), 0);
        assert_int_equal(sigv4_sign(&fresh, &r, NOW_US + day * day_us, &b), 0);
        assert_string_equal(a.hex, b.hex);
        sigv4_signer_fini(&fresh);
    }
    sigv4_signer_fini(&s);
}

static void limits(void **state)
{
    static struct sigv4_field many[SIGV4_MAX_FIELDS + 1];
    static char big[SIGV4_MAX_REQUEST_BYTES];
    struct sigv4_signer s;
    struct sigv4_signature sig;
    uint8_t hash[CRYPTO_SHA256_BYTES] = {0};
    struct sigv4_request r = {SLICE_LIT("GET"), SLICE_LIT("/"), many, SIGV4_MAX_FIELDS, hash};
    for (size_t i = 0; i < ARRAY_LEN(many); i++)
        many[i] = (struct sigv4_field){SLICE_LIT("a"), SLICE_LIT("b")};
    init(&s, NULL);
    assert_int_equal(sigv4_sign(&s, &r, NOW_US, &sig), 0);
    r.n_fields++;
    assert_int_equal(sigv4_sign(&s, &r, NOW_US, &sig), -1);
    memset(big, 'x', sizeof big);
    r = (struct sigv4_request){SLICE_LIT("GET"), slice_of(big, sizeof big), many, 1, hash};
    assert_int_equal(sigv4_sign(&s, &r, NOW_US, &sig), -1);
    big[0] = '?';
    assert_int_equal(sigv4_sign(&s, &r, NOW_US, &sig), -1);
    memset(big, '&', sizeof big);
    big[0] = '?';
    assert_int_equal(sigv4_sign(&s, &r, NOW_US, &sig), -1);
    r.target = SLICE_LIT("/");
    assert_int_equal(sigv4_sign(&s, &r, NOW_US, &sig), 0);
    sigv4_signer_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_suite),
        cmocka_unit_test(bedrock_path),
        cmocka_unit_test(the_key_follows_the_day),
        cmocka_unit_test(the_key_follows_the_keys),
        cmocka_unit_test(limits),
    };
    return cmocka_run_group_tests_name("sigv4", tests, NULL, NULL);
}
