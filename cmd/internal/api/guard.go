package api

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"path"
	"strings"
	"time"

	"perch/pipeline"
)

// A Claimer knows whose the device is.
type Claimer interface {
	// Owner returns the name that the owner gave the device, and whether there
	// is an owner.
	Owner() (name string, claimed bool)
	// Take makes who asks the owner and returns the token that proves it.
	// Errors: Refused when there is an owner, BadInput, Storage.
	Take(name string) (token string, err error)
	// Allows reports whether token is the owner's.
	Allows(token string) bool
}

const (
	claimPath    = "/api/v1/claim"
	signInPath   = "/api/v1/sign-in"
	claimPage    = "/claim.html"
	tokenCookie  = "perch_token"
	tokenAge     = 365 * 24 * time.Hour
	maxClaimBody = 4 << 10
)

// guard lets nobody in but who may. Until the device has an owner only what a
// stranger needs is answered; then only the owner changes things, and reads them
// when the device is private. Without a Claimer everybody may everything.
func (s *Server) guard(next http.Handler) http.Handler {
	if s.Claim == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, claimed := s.Claim.Owner()
		switch {
		case s.forEverybody(r):
		case !claimed && r.URL.Path == "/":
			http.Redirect(w, r, claimPage[1:], http.StatusSeeOther)
			return
		case !claimed:
			s.fail(w, r, &pipeline.Error{Op: "use this device", Kind: pipeline.Refused, Err: errors.New("it belongs to nobody yet"), Hint: "open its page in a browser in the same network and claim it"})
			return
		case r.URL.Path == sessionPath: // its token may be in the body: see mayStart
		case (s.Private || !viewing(r)) && !s.Claim.Allows(tokenOf(r)):
			w.Header().Set("WWW-Authenticate", `Bearer realm="perch"`)
			s.refuse(w, http.StatusUnauthorized, "only the owner of this device may do this", "send the token from claiming it as Authorization: Bearer, or sign in at "+claimPage)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// forEverybody reports whether r is for what a stranger needs: whether the
// device is well, the page itself without its data, and claiming.
func (s *Server) forEverybody(r *http.Request) bool {
	switch r.URL.Path {
	case "/healthz", "/readyz", claimPath, signInPath:
		return true
	case "/", "/index.html":
		return false
	}
	read := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch path.Ext(r.URL.Path) {
	case ".html", ".js", ".css", ".svg", ".woff2":
		return read && !strings.HasPrefix(r.URL.Path, "/api/")
	}
	return false
}

// viewing reports whether r changes nothing but what who asks is shown.
func viewing(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return true
	}
	return strings.HasPrefix(r.URL.Path, "/whep/") || strings.HasPrefix(r.URL.Path, heartbeatPath)
}

// tokenOf is the token that r comes with, "" for none.
func tokenOf(r *http.Request) string {
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return token
	}
	if c, err := r.Cookie(tokenCookie); err == nil {
		return c.Value
	}
	return ""
}

// mayStart says why who asks may not start a session with that API key: where
// the device wants an owner it has to be the owner's token.
func (s *Server) mayStart(r *http.Request, apiKey string) error {
	switch {
	case s.Claim == nil || s.Claim.Allows(apiKey) || s.Claim.Allows(tokenOf(r)):
		return nil
	case apiKey == "" && tokenOf(r) == "":
		return errNoKey
	}
	return &pipeline.Error{Op: "start session", Kind: pipeline.Refused, Err: errors.New("only the owner of this device may"), Hint: "give the token from claiming it as api_key"}
}

// claimState is the answer to GET /api/v1/claim.
type claimState struct {
	Needed   bool   `json:"needed"` // the device wants an owner
	Claimed  bool   `json:"claimed"`
	Device   string `json:"device_id"`
	Name     string `json:"name,omitempty"`
	Private  bool   `json:"private"`   // reading needs the token, too
	SignedIn bool   `json:"signed_in"` // by the token that came with the request
}

func (s *Server) claimState(w http.ResponseWriter, r *http.Request) {
	st := claimState{Device: s.Device.Status().Device}
	if s.Claim != nil {
		st.Needed, st.Private, st.SignedIn = true, s.Private, s.Claim.Allows(tokenOf(r))
		st.Name, st.Claimed = s.Claim.Owner()
	}
	s.write(w, http.StatusOK, st)
}

// claim makes who asks the owner. Only somebody in the same network may, who
// asks for the device by its address or a local name: a page of the internet
// that has made its name point here does not. A proxy on the device or near it
// asks for somebody who may be anywhere.
func (s *Server) claim(w http.ResponseWriter, r *http.Request) {
	if !near(r.RemoteAddr) || !localName(r.Host) || proxied(r) {
		s.fail(w, r, &pipeline.Error{Op: "claim device", Kind: pipeline.Refused, Err: errors.New("the request does not come from the device's own network"),
			Hint: "open http:// and the device's address, from a computer in the same network, and with no proxy between"})
		return
	}
	var body struct {
		Name string `json:"name"`
	}
	if !s.claimBody(w, r, &body) {
		return
	}
	token, err := s.Claim.Take(body.Name)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.log.Info("device claimed", "name", body.Name, "from", r.RemoteAddr)
	setToken(w, token)
	s.write(w, http.StatusCreated, map[string]string{"token": token})
}

// signIn gives the browser the token as a cookie that pages cannot read.
func (s *Server) signIn(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Token string `json:"token"`
	}
	if !s.claimBody(w, r, &body) {
		return
	}
	if !s.Claim.Allows(strings.TrimSpace(body.Token)) {
		s.log.Warn("sign-in with a wrong token", "from", r.RemoteAddr)
		s.refuse(w, http.StatusUnauthorized, "this is not the token of this device", "it was shown once, when the device was claimed; sudo perch claim reset on the device makes it claimable again")
		return
	}
	setToken(w, strings.TrimSpace(body.Token))
	w.WriteHeader(http.StatusNoContent)
}

func setToken(w http.ResponseWriter, token string) {
	http.SetCookie(w, &http.Cookie{Name: tokenCookie, Value: token, Path: "/", MaxAge: int(tokenAge.Seconds()), HttpOnly: true, SameSite: http.SameSiteStrictMode})
}

func (s *Server) claimBody(w http.ResponseWriter, r *http.Request, into any) bool {
	if s.Claim == nil {
		s.fail(w, r, notFound("page", r.URL.Path, "this device has no owner: http.claim is off"))
		return false
	}
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxClaimBody)).Decode(into)
	if err != nil {
		s.refuse(w, http.StatusBadRequest, "the body is not the JSON object that is expected: "+err.Error(), "")
	}
	return err == nil
}

// proxied reports whether a proxy says that it asks for another: by a header, or
// by HTTP/1.0, which nginx speaks with what is behind it unless told otherwise,
// and which no browser has spoken for long. A proxy that hides cannot be told
// from somebody who sits at the device.
func proxied(r *http.Request) bool {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via"} {
		if r.Header.Get(name) != "" {
			return true
		}
	}
	return !r.ProtoAtLeast(1, 1)
}

// near reports whether an address is of this machine or of a private network.
func near(remote string) bool {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return false
	}
	a := ap.Addr().Unmap().WithZone("")
	return a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast()
}

// localName reports whether a Host header names no site of the internet.
func localName(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return host != "" && (!strings.Contains(host, ".") || strings.HasSuffix(host, ".local"))
}
