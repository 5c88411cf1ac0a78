package gateway

import (
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"time"
)

// configKey is one key of the configuration. A key whose feature is still to
// come has no set: it is refused, since a setting without effect misleads.
type configKey struct {
	name string
	set  func(c *Config, v value) error
}

// configKeys is the whole table, in the order of the documentation.
var configKeys = []configKey{
	{"hostname", func(c *Config, v value) error { return v.hostname(&c.Hostname) }},
	{"data_dir", func(c *Config, v value) error { return v.path(&c.DataDir) }},
	{"key", func(c *Config, v value) error { return v.ticketKeys(&c.Keys) }},
	{"secret", func(c *Config, v value) error { return v.secrets(&c.Secrets) }},
	{"shutdown_timeout", func(c *Config, v value) error { return v.duration(&c.ShutdownTimeout, time.Second) }},
	{"lmtp.listen", func(c *Config, v value) error { return v.addresses(&c.LMTP.Listen) }},
	{"lmtp.max_message_bytes", func(c *Config, v value) error { return v.size(&c.LMTP.MaxMessageBytes) }},
	{"lmtp.max_recipients", func(c *Config, v value) error { return v.number(&c.LMTP.MaxRecipients, 1, 100000) }},
	{"lmtp.max_connections", func(c *Config, v value) error { return v.number(&c.LMTP.MaxConnections, 1, 100000) }},
	{"lmtp.timeout", func(c *Config, v value) error { return v.duration(&c.LMTP.Timeout, time.Second) }},
	{"lmtp.trusted_authserv", func(c *Config, v value) error { return v.hostnames(&c.LMTP.TrustedAuthserv) }},
	{"lmtp.tls_cert", func(c *Config, v value) error { return v.path(&c.LMTP.TLS.Cert) }},
	{"lmtp.tls_key", func(c *Config, v value) error { return v.path(&c.LMTP.TLS.Key) }},
	{"lmtp.allow", func(c *Config, v value) error { return v.networks(&c.LMTP.Allow) }},
	{"smtp.listen", func(c *Config, v value) error { return v.addresses(&c.SMTP.Listen) }},
	{"smtp.allow", func(c *Config, v value) error { return v.networks(&c.SMTP.Allow) }},
	{"lookup.listen", func(c *Config, v value) error { return v.addresses(&c.LookupListen) }},
	{"http.listen", func(c *Config, v value) error { return v.addresses(&c.HTTP.Listen) }},
	{"http.public_url", func(c *Config, v value) error { return v.publicURL(&c.HTTP.PublicURL) }},
	{"http.allowed_origins", func(c *Config, v value) error { return v.origins(&c.HTTP.AllowedOrigins) }},
	{"http.trusted_proxies", func(c *Config, v value) error {
		if v.none() {
			return nil
		}
		return v.networks(&c.HTTP.TrustedProxies)
	}},
	{"http.tls_cert", func(c *Config, v value) error { return v.path(&c.HTTP.TLS.Cert) }},
	{"http.tls_key", func(c *Config, v value) error { return v.path(&c.HTTP.TLS.Key) }},
	{"admin.listen", func(c *Config, v value) error { return v.addresses(&c.AdminListen) }},
	{"metrics.listen", func(c *Config, v value) error { return v.addresses(&c.MetricsListen) }},
	{"store.url", func(c *Config, v value) error { return v.url(&c.StoreURL, "sqlite", "postgres", "postgresql") }},
	{"redis.url", func(c *Config, v value) error {
		return v.url(&c.RedisURL, "embedded", "redis", "rediss", "redis+sentinel", "redis+cluster")
	}},
	{"blob.url", func(c *Config, v value) error { return v.blobURL(&c.BlobURL) }},
	{"dns.resolver", func(c *Config, v value) error { return v.resolver(&c.DNS.Resolver) }},
	{"dns.timeout", func(c *Config, v value) error { return v.duration(&c.DNS.Timeout, 10*time.Millisecond) }},
	{"dns.recheck", func(c *Config, v value) error { return v.duration(&c.DNS.Recheck, 100*time.Millisecond) }},
	{"outbound.smarthost", func(c *Config, v value) error {
		return v.url(&c.Outbound.Smarthost, "smtp", "smtps", "smtp+starttls", "smtp+insecure", "dir")
	}},
	{"outbound.workers", func(c *Config, v value) error { return v.number(&c.Outbound.Workers, 1, 1000) }},
	{"outbound.max_age", func(c *Config, v value) error { return v.duration(&c.Outbound.MaxAge, time.Minute) }},
	{"crm.url", func(c *Config, v value) error { return v.url(&c.CRM.URL, "https", "http") }},
	{"crm.token", func(c *Config, v value) error { return v.secret(&c.CRM.Token) }},
	{"crm.refresh", func(c *Config, v value) error { return v.duration(&c.CRM.Refresh, time.Second) }},
	{"contacts.carddav", func(c *Config, v value) error { return v.url(&c.Contacts.CardDAV, "https", "http") }},
	{"contacts.refresh", func(c *Config, v value) error { return v.duration(&c.Contacts.Refresh, time.Minute) }},
	{"webhooks.allow", func(c *Config, v value) error { return v.networks(&c.WebhooksAllow) }},
	{"arc.trusted_sealers", func(c *Config, v value) error { return v.hostnames(&c.TrustedSealers) }},
	{"oidc.issuer", func(c *Config, v value) error { return v.issuer(&c.OIDC.Issuer) }},
	{"oidc.client_id", func(c *Config, v value) (err error) { c.OIDC.ClientID, err = v.text(); return err }},
	{"oidc.client_secret", func(c *Config, v value) error { return v.secret(&c.OIDC.ClientSecret) }},
	{"rules.trusted_headers", func(c *Config, v value) error { return v.fieldNames(&c.Rules.TrustedHeaders) }},
	{"rules.trusted_hops", func(c *Config, v value) error { return v.number(&c.Rules.TrustedHops, 1, 10) }},
	{"desk.timezone", func(c *Config, v value) error { return v.timeZone(&c.TimeZone) }},
	{"desk.language", func(c *Config, v value) error { return v.language(&c.Language) }},
	{"retention.raw_days", nil},
	{"retention.quarantine_days", nil},
	{"retention.events_days", func(c *Config, v value) error { return v.number(&c.EventsDays, 0, 36500) }},
	{"retention.audit_days", func(c *Config, v value) error { return v.number(&c.AuditDays, 0, 36500) }},
	{"log.level", func(c *Config, v value) error { return v.oneOf(&c.LogLevel, "debug", "info", "warn", "error") }},
	{"log.format", func(c *Config, v value) error { return v.oneOf(&c.LogFormat, "text", "json") }},
}

// idle tells whether a value of a key whose feature is still to come asks for
// nothing: it is empty, or the documented default.
func idle(name string, raw any) bool {
	if list, ok := raw.([]any); ok {
		return len(list) == 0
	}
	defaults := map[string]string{
		"retention.raw_days": "0", "retention.quarantine_days": "90",
	}
	text := strings.TrimSpace(fmt.Sprint(raw))
	return text == "" || text == defaults[name]
}

// keyNamed gives the key of a name, or nil.
func keyNamed(name string) *configKey {
	i := slices.IndexFunc(configKeys, func(k configKey) bool { return k.name == name })
	if i < 0 {
		return nil
	}
	return &configKeys[i]
}

// keyOfVariable gives the key that an environment variable sets, or nil.
func keyOfVariable(variable string) *configKey {
	i := slices.IndexFunc(configKeys, func(k configKey) bool { return Variable(k.name) == variable })
	if i < 0 {
		return nil
	}
	return &configKeys[i]
}

// Variable gives the environment variable of a key.
func Variable(key string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

var ticketKey = regexp.MustCompile(`^[A-Za-z]{1,8}$`)

// ticketKeys reads the keys that stand before the number in a reference.
func (v value) ticketKeys(into *[]string) error {
	keys, err := v.texts()
	if err != nil {
		return err
	}
	for i, k := range keys {
		if !ticketKey.MatchString(k) {
			return fmt.Errorf("%q is no ticket key: it has 1 to 8 letters", k)
		}
		keys[i] = strings.ToUpper(k)
	}
	*into = keys
	return nil
}

// headerField is a name of a header field (RFC 5322, 2.2), as it is written in practice.
var headerField = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,75}$`)

// fieldNames reads names of header fields.
func (v value) fieldNames(into *[]string) error {
	names, err := v.texts()
	if err != nil {
		return err
	}
	for _, name := range names {
		if !headerField.MatchString(name) {
			return fmt.Errorf("%q is no name of a header field", name)
		}
	}
	*into = names
	return nil
}

// blobURL reads where the large files lie.
func (v value) blobURL(into *URL) error {
	text, err := v.text()
	if err != nil {
		return err
	}
	if strings.HasPrefix(text, "s3:") {
		return errors.New("s3 is not yet available: use file:PATH")
	}
	return v.url(into, "file")
}

// timeZone reads a name of the time zone database.
func (v value) timeZone(into **time.Location) error {
	text, err := v.text()
	if err != nil {
		return err
	}
	zone, err := time.LoadLocation(text)
	if err != nil || text == "Local" {
		return fmt.Errorf("%q is no time zone: want a name such as Europe/Berlin", text)
	}
	*into = zone
	return nil
}

// language reads the language of mails; there are English texts so far.
func (v value) language(into *string) error {
	text, err := v.text()
	if err != nil {
		return err
	}
	if text != "en" {
		return fmt.Errorf("%q is not yet available: the texts are English (en)", text)
	}
	*into = text
	return nil
}

// Level gives the configured log level.
func (c *Config) Level() slog.Level {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.LogLevel)) // checked when it was read
	return level
}
