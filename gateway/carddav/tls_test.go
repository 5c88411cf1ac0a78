package carddav

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	card "github.com/emersion/go-vcard"
	"github.com/emersion/go-webdav"
	dav "github.com/emersion/go-webdav/carddav"
)

// shelf is an address book for go-webdav's server; what is not asked for panics.
type shelf struct {
	dav.Backend
	cards map[string]string // text by path
}

func (shelf) CurrentUserPrincipal(context.Context) (string, error)   { return "/me/", nil }
func (shelf) AddressBookHomeSetPath(context.Context) (string, error) { return "/me/books/", nil }

func (s shelf) ListAddressBooks(ctx context.Context) ([]dav.AddressBook, error) {
	return []dav.AddressBook{{Path: "/me/books/all/", Name: "All"}}, nil
}

func (s shelf) GetAddressBook(_ context.Context, path string) (*dav.AddressBook, error) {
	if path != "/me/books/all/" {
		return nil, webdav.NewHTTPError(http.StatusNotFound, nil)
	}
	return &dav.AddressBook{Path: path}, nil
}

func (s shelf) GetAddressObject(_ context.Context, path string, _ *dav.AddressDataRequest) (*dav.AddressObject, error) {
	text, ok := s.cards[path]
	if !ok {
		return nil, webdav.NewHTTPError(http.StatusNotFound, nil)
	}
	fields, err := card.NewDecoder(strings.NewReader(text)).Decode()
	return &dav.AddressObject{Path: path, ETag: hashOf(text), Card: fields}, err
}

func (s shelf) ListAddressObjects(ctx context.Context, _ string, req *dav.AddressDataRequest) (all []dav.AddressObject, err error) {
	for path := range s.cards {
		object, err := s.GetAddressObject(ctx, path, req)
		if err != nil {
			return nil, err
		}
		all = append(all, *object)
	}
	return all, nil
}

// Another server than Radicale, over TLS, found by its well-known path, without
// any mark of its state.
func TestTLS(t *testing.T) {
	r := newRig(t)
	books := shelf{cards: map[string]string{"/me/books/all/ida": vcard("Ida", "EMAIL:ida@x.example")}}
	handler := &dav.Handler{Backend: books}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		switch {
		case user != "me" || password != "secret":
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/":
			http.NotFound(w, r)
		default:
			handler.ServeHTTP(w, r)
		}
	}))
	defer server.Close()
	url := strings.Replace(server.URL, "://", "://me:secret@", 1)
	got := r.round(r.source(ClientOptions{URL: url}))
	if !strings.Contains(got, "failed: ") || !strings.Contains(got, "certificate") {
		t.Errorf("a certificate that nobody vouches for: %s", got)
	}
	r.now = r.now.Add(firstRetry)
	s := r.source(ClientOptions{URL: url, Transport: server.Client().Transport})
	r.wantRound(r.round(s), "1 added, 0 changed, 0 unchanged")
	books.cards["/me/books/all/kim"] = vcard("Kim")
	books.cards["/me/books/all/ida"] = vcard("Ida", "EMAIL:ilg@x.example")
	r.wantRound(r.later(s), "1 added, 1 changed, 0 unchanged")
	if got := r.contacts(); !strings.Contains(got, "Ida <ida@x.example> <ilg@x.example>") || !strings.Contains(got, "Kim") {
		t.Errorf("there are %s", got)
	}
	wrong := r.source(ClientOptions{URL: strings.Replace(url, "secret", "wrong", 1), Transport: server.Client().Transport})
	if got := r.later(wrong); !strings.Contains(got, "401") || strings.Contains(got, "wrong") {
		t.Errorf("a wrong password: %s", got)
	}
}
