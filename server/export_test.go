package server

import "maps"

// RouteTable returns the role that each route requires, by "METHOD path".
func (s *Server) RouteTable() map[string]string {
	names := map[role]string{roleOpen: "open"}
	for name, r := range roles {
		names[r] = name
	}
	out := map[string]string{}
	for at, r := range maps.All(s.roles) {
		out[at] = names[r]
	}
	return out
}
