package gateway

import (
	"crypto/tls"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
)

// finish fills in what depends on other keys, and checks what holds between
// them.
func (s *settings) finish() {
	c := s.config
	if c.StoreURL.IsZero() {
		c.StoreURL = URL{text: "sqlite:" + filepath.Join(c.DataDir, "ticketgate.db")}
	}
	if c.BlobURL.IsZero() {
		c.BlobURL = URL{text: "file:" + filepath.Join(c.DataDir, "blobs")}
	}
	if c.AdminEmail == "" {
		c.AdminEmail = "admin@" + c.Hostname
	} else if !isAddress(c.AdminEmail) {
		s.problem(envPrefix+"ADMIN_EMAIL", "", "is no mail address")
	}
	c.Outbound.Default = !s.named["outbound.smarthost"]
	s.shareIntake()
	s.checkReach("lmtp", c.LMTP)
	s.checkReach("smtp", c.SMTP)
	s.checkCertificate("http", c.HTTP.TLS)
	s.checkCertificate("lmtp", c.LMTP.TLS)
	s.checkApart("metrics.listen", c.MetricsListen)
	s.checkApart("admin.listen", c.AdminListen)
	s.checkCRM()
	s.checkContacts()
	s.checkOIDC()
}

// checkOIDC demands both names or none, and warns of a provider whose word
// anybody on the way can change.
func (s *settings) checkOIDC() {
	c := s.config.OIDC
	switch {
	case c.Issuer == "" && (c.ClientID != "" || c.ClientSecret.Reveal() != ""):
		s.config.Warnings = append(s.config.Warnings, "oidc.client_id or oidc.client_secret is set, and no oidc.issuer")
	case c.Issuer != "" && c.ClientID == "":
		s.problem(s.where["oidc.issuer"], "oidc.issuer", "oidc.client_id is missing")
	case strings.HasPrefix(c.Issuer, "http:") && !isLoopbackURL(URL{text: c.Issuer}):
		s.config.Warnings = append(s.config.Warnings, "oidc.issuer is http: who is on the way can log in as anybody")
	}
}

// shareIntake gives the SMTP face the limits of the LMTP one: it is the same
// intake behind another greeting.
func (s *settings) shareIntake() {
	shared := s.config.LMTP
	shared.Listen, shared.Allow = s.config.SMTP.Listen, s.config.SMTP.Allow
	s.config.SMTP = shared
}

// checkReach demands an allow list of a listener that others than this machine
// can reach: an open one would take mail from anybody.
func (s *settings) checkReach(face string, c IntakeConfig) {
	if len(c.Allow) > 0 {
		return
	}
	for _, a := range c.Listen {
		if !a.Loopback() {
			s.problem(s.where[face+".listen"], face+".listen",
				a.String()+" can be reached from other machines: name in "+face+".allow the networks that may use it")
		}
	}
}

// checkCertificate demands both files or none, and a key that others can't read.
func (s *settings) checkCertificate(face string, files CertificateFiles) {
	cert, key := face+".tls_cert", face+".tls_key"
	switch {
	case files.Cert == "" && files.Key == "":
		return
	case files.Cert == "":
		s.problem(s.where[key], key, cert+" is missing")
	case files.Key == "":
		s.problem(s.where[cert], cert, key+" is missing")
	default:
		if err := checkPrivate(files.Key); err != nil {
			s.problem(s.where[key], key, err.Error())
			return
		}
		if _, err := tls.LoadX509KeyPair(files.Cert, files.Key); err != nil {
			s.problem(s.where[cert], cert, err.Error())
		}
	}
}

// checkApart keeps what others must not reach off the public listener.
func (s *settings) checkApart(key string, listen []Address) {
	for _, m := range listen {
		for _, h := range s.config.HTTP.Listen {
			if m == h && !strings.HasSuffix(m.Address, ":0") {
				s.problem(s.where[key], key, m.String()+" is http.listen as well")
			}
		}
	}
}

// checkCRM warns of a token that nobody is asked with, or that anybody on the
// way can read.
func (s *settings) checkCRM() {
	c := s.config.CRM
	switch {
	case c.URL.IsZero() && c.Token.Reveal() != "":
		s.config.Warnings = append(s.config.Warnings, "crm.token is set, and no crm.url")
	case c.URL.Scheme() == "http" && !isLoopbackURL(c.URL):
		s.config.Warnings = append(s.config.Warnings, "crm.url is http: the token and the customers' addresses can be read on the way")
	}
}

// checkContacts refuses what the source of contacts would pass over, and warns of
// what anybody on the way can read.
func (s *settings) checkContacts() {
	const key = "contacts.carddav"
	where := s.config.Contacts.CardDAV
	if where.IsZero() {
		return
	}
	if u, err := url.Parse(where.Reveal()); err != nil || u.RawQuery != "" || u.Fragment != "" {
		s.problem(s.where[key], key, "has a query or a fragment, and no address book has")
	}
	if where.Scheme() == "http" && !isLoopbackURL(where) {
		s.config.Warnings = append(s.config.Warnings, key+" is http: the password and the contacts can be read on the way")
	}
}

func isLoopbackURL(u URL) bool {
	parsed, err := url.Parse(u.Reveal())
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(parsed.Hostname())
	return parsed.Hostname() == "localhost" || err == nil && ip.IsLoopback()
}
