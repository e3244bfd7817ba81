package provision

// CI is a pipeline that has proven for which repository it runs. It may ask for
// the ephemeral environments of its pull requests and for nothing else; policy
// says where.
type CI struct {
	Repository  string // owner/name
	PullRequest int    // 0 when it speaks for every pull request of its repository
	Owner       string // entity ref of the team that it acts for

	// Of a question to authorisation alone: what it asks for, "" for what is not an
	// ask, and the ephemeral environment that the thing is part of, nil for none.
	Action  Action
	Preview *PullRequest
}

// CISubject is who a repository's pipelines are.
func CISubject(repository string) string { return "ci:" + repository }

// about is p with what a pipeline's question is about; anybody else asks alike
// of everything.
func (p Principal) about(action Action, preview *PullRequest) Principal {
	if p.CI != nil {
		asking := *p.CI
		asking.Action, asking.Preview = action, preview
		p.CI = &asking
	}
	return p
}

// asker is nil when p may ask for infrastructure at all.
func asker(p Principal) error {
	if p.CI != nil {
		return nil // for what, policy says
	}
	return person(p)
}
