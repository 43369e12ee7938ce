"""The rules of the game, line by line in our own words, each with the tests that hold it; and those that come later.

`python -m tests.protocol.lines` prints it. A rule is cut where a part of it can break alone.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """One rule: what it says, and tests as `folder/file.py::name` below `tests/`, or what it waits for."""

    id: str
    says: str
    tests: tuple[str, ...] = ()
    later: str = ""


QUORUM, FOUNDING = "attacks/test_acts_quorum.py::test_", "attacks/test_acts_founding.py::test_"
SESSIONS, RELEASES = "attacks/test_acts_sessions.py::test_", "attacks/test_acts_releases.py::test_"
ENROLMENT, GOVERNANCE = "attacks/test_acts_enrolment.py::test_", "attacks/test_acts_governance.py::test_"
CLOSING, FACTS = "attacks/test_acts_closing_down.py::test_", "attacks/test_acts_facts.py::test_"
ABUSE = "attacks/test_acts_abuse.py::test_"
TIME, FOLD = "attacks/test_acts_time.py::test_", "acts/test_fold.py::test_"
OPEN, CEREMONY = "keep/test_open_keep.py::test_", "keep/test_ceremony.py::test_"
BOOK, VAULT = "keep/test_book.py::test_", "keep/test_vault.py::test_"
CLOCK, REFUSALS = "keep/test_clock.py::test_", "keep/test_refusals.py::test_"
CLIENT, WEBAUTHN = "attacks/test_client.py::test_", "attacks/test_webauthn.py::test_"
SIGNATURES, POLICY = "attacks/test_signatures.py::test_", "attacks/test_policy.py::test_"
JOURNAL, SHARES = "attacks/test_journal.py::test_", "attacks/test_shares.py::test_"
VERIFIER, KEYS = "attacks/test_verifier.py::test_", "sealing/test_keys.py::test_"
RENEWALS, ALIASES = "keep/test_renewals.py::test_", "attacks/test_acts_aliases.py::test_"
LOOKS, LEASES = "client_keep/test_looks.py::test_", "client_keep/test_leases.py::test_"
REQUESTS, RELEASED = "client_keep/test_requests.py::test_", "client_keep/test_released.py::test_"

NAMES = (
    Line(
        "names.deployment",
        "a deployment is called by the digest of its first entry, which every founder signed",
        (
            FOUNDING + "five_found_a_deployment_whose_name_is_the_digest_of_its_first_entry",
            FOUNDING + "every_founder_signs",
            FOUNDING + "nobody_but_founders_signs",
            FOUNDING + "an_edited_genesis_is_another_deployment",
        ),
    ),
    Line(
        "names.founders",
        "three found it at least, and the quorum is two at least and leaves one who may be missing",
        (
            FOUNDING + "too_few_or_too_many_found_nothing",
            FOUNDING + "custodians_are_two_at_least_and_enough",
            FOUNDING + "a_founding_after_which_one_absence_locks_everybody_out_is_refused",
        ),
    ),
    Line(
        "names.no-first-use",
        "a client is told the name, computes it itself and refuses any other log",
        (
            CLIENT + "the_log_of_another_deployment_is_refused_at_first_sight",
            CLIENT + "an_edited_genesis_is_refused",
            "client_keep/test_founding.py::test_the_name_of_a_deployment_is_computed_here",
        ),
    ),
    Line(
        "names.trial",
        "one person's trial says so for ever, takes software keys, stops at label 2 and never becomes real",
        (
            FOUNDING + "a_trial_says_so_for_ever",
            FOUNDING + "a_trial_is_one_person_s",
            GOVERNANCE + "a_trial_decides_alone_and_stops_at_label_2",
            POLICY + "a_trial_opens_nothing_above_label_2_whatever_the_policies",
            CEREMONY + "a_trial_s_journal_does_not_start_otherwise",
        ),
    ),
    Line(
        "names.statement",
        "a statement says where, when, until when, by whom and of which kind; an unknown kind is refused",
        (
            SESSIONS + "a_statement_for_another_deployment_or_era_is_refused",
            SESSIONS + "a_statement_of_a_kind_that_nobody_says_is_refused",
            SESSIONS + "a_statement_with_another_body_than_its_kind_has_is_refused",
        ),
    ),
    Line(
        "names.opaque",
        "identifiers are opaque and never used twice: what comes again inherits nothing",
        (
            ENROLMENT + "the_identifier_of_a_person_is_never_used_again",
            ENROLMENT + "the_identifier_of_a_model_is_never_used_again",
            ENROLMENT + "an_identifier_that_was_used_is_refused",
            ENROLMENT + "a_person_who_comes_again_inherits_nothing",
        ),
    ),
    Line(
        "names.texts",
        "the log binds salted digests of names, reasons and purposes; the texts come along, and lie beside it",
        (
            OPEN + "a_statement_whose_text_is_missing_is_refused",
            OPEN + "a_text_that_nobody_named_is_refused",
            OPEN + "no_name_or_reason_is_in_the_log",
            CEREMONY + "a_founding_comes_with_the_names_that_it_binds",
        ),
    ),
    Line(
        "names.shown",
        "a client shows a name only once it is proven",
        (
            CLIENT + "a_false_name_is_not_shown",
            CLIENT + "a_model_under_a_false_name_is_not_opened",
            REQUESTS + "a_purpose_that_is_not_to_be_had_is_said_to_be_not_proven",
        ),
    ),
    Line(
        "names.era-statements",
        "what was said for another era says nothing in this one",
        (SESSIONS + "a_statement_for_another_deployment_or_era_is_refused",),
    ),
    Line("names.era-new", "a loss that is accepted begins a new era, frozen", later="recovery"),
)

SIGNED = (
    Line(
        "signatures.es256",
        "people's, devices' and sessions' keys are ES256 and nothing else",
        (
            SIGNATURES + "an_ed25519_key_cannot_be_enrolled",
            WEBAUTHN + "no_weaker_kind_of_key_is_enrolled",
            ENROLMENT + "a_point_that_is_not_on_the_curve_is_refused",
        ),
    ),
    Line(
        "signatures.challenge",
        "a touch is for one exact statement: a login is no approval",
        (
            WEBAUTHN + "a_login_touch_is_no_approval",
            WEBAUTHN + "a_touch_for_one_proposal_approves_no_edited_one",
            SESSIONS + "a_touch_for_a_login_is_no_approval",
        ),
    ),
    Line(
        "signatures.origin",
        "a touch counts where that kind of statement is signed, and no browser passes for the command line",
        (
            WEBAUTHN + "a_page_that_is_not_ours_collects_no_touches",
            WEBAUTHN + "a_browser_cannot_pass_for_the_command_line",
            SESSIONS + "a_touch_somewhere_else_is_no_approval",
            SESSIONS + "nobody_logs_in_at_the_approval_site",
            FOUNDING + "a_founding_is_signed_on_the_command_line",
        ),
    ),
    Line(
        "signatures.checks",
        "rpId, presence, verification and framing are looked at, each by itself",
        (
            WEBAUTHN + "a_credential_of_another_site_signs_nothing_here",
            WEBAUTHN + "a_stolen_key_without_its_pin_or_without_its_person_signs_nothing",
            WEBAUTHN + "our_page_in_a_frame_of_another_collects_no_touches",
        ),
    ),
    Line(
        "signatures.owner",
        "a key speaks for the person that it belongs to",
        (
            SESSIONS + "the_security_key_of_another_person_is_refused",
            SESSIONS + "a_security_key_in_the_name_of_another_is_refused",
            SESSIONS + "an_unknown_security_key_is_refused",
        ),
    ),
    Line(
        "signatures.counter",
        "a counter never falls",
        (
            SESSIONS + "a_cloned_security_key_is_noticed",
            SESSIONS + "the_counter_in_the_directory_rises_with_every_touch",
            WEBAUTHN + "a_copy_of_a_key_is_noticed_by_its_counter",
        ),
    ),
    Line(
        "signatures.backup",
        "whether a key may be backed up is recorded, and stays so",
        (
            WEBAUTHN + "a_key_that_can_be_copied_is_known_for_it",
            WEBAUTHN + "a_key_that_became_copyable_is_not_the_one_that_was_enrolled",
        ),
    ),
    Line(
        "signatures.possession",
        "every key that is enrolled proves that somebody holds it, for this subject here",
        (
            ENROLMENT + "a_key_without_proof_of_possession_is_refused",
            ENROLMENT + "a_key_that_nobody_proved_to_hold_is_refused",
            ENROLMENT + "a_key_registered_for_another_person_or_credential_is_refused",
            ENROLMENT + "a_key_registered_for_another_deployment_is_refused",
            FOUNDING + "a_founder_s_keys_are_proven",
        ),
    ),
    Line(
        "signatures.one-owner",
        "a public key is one subject's, for ever",
        (
            ENROLMENT + "the_key_of_somebody_is_nobody_else_s_for_ever",
            ENROLMENT + "a_public_key_that_somebody_has_is_refused",
            ENROLMENT + "two_proposals_for_one_key_end_in_one_enrolment",
            SESSIONS + "a_session_takes_no_key_that_somebody_has",
            FOUNDING + "one_key_is_not_two_founders_key",
        ),
    ),
    Line(
        "signatures.new-credential",
        "one more key takes a touch of an old one of the same person and somebody else's approval",
        (
            ENROLMENT + "a_new_security_key_needs_a_touch_of_an_old_one",
            ENROLMENT + "a_new_security_key_needs_a_touch_of_the_same_person",
            ENROLMENT + "a_new_security_key_takes_another_person_s_approval",
            ENROLMENT + "with_no_key_left_the_quorum_of_people_decides",
        ),
    ),
    Line(
        "signatures.software",
        "what no maker vouches for is software, and refused where that is switched off",
        (
            ENROLMENT + "software_keys_are_refused_where_they_are_switched_off",
            ENROLMENT + "a_software_key_does_not_pass_for_an_attested_one",
            WEBAUTHN + "a_key_in_software_cannot_pass_for_one_in_hardware",
        ),
    ),
    Line(
        "signatures.duplicates",
        "a voice is found by person and proposal, whatever the bytes of its signature",
        (
            QUORUM + "one_person_with_two_keys_counts_once",
            WEBAUTHN + "a_malleated_touch_is_the_same_touch",
            SIGNATURES + "a_malleated_signature_is_the_same_statement_and_no_second_one",
        ),
    ),
    Line(
        "signatures.again",
        "the same statement again: the same answer, no second entry",
        (
            OPEN + "the_same_statement_again_is_the_same_answer_and_no_second_entry",
            OPEN + "the_same_statement_twice_in_one_batch_is_one_entry",
            OPEN + "the_same_release_again_gives_the_same_key_to_the_same_recipient",
        ),
    ),
    Line(
        "signatures.again-refused",
        "said again, a release is decided again",
        (
            OPEN + "a_release_said_again_after_a_freeze_is_refused",
            OPEN + "a_release_said_again_after_its_session_was_closed_is_refused",
            RENEWALS + "a_renewal_is_the_keep_s_word_of_now_for_the_same_entry",
            RENEWALS + "a_lease_is_not_renewed_once",
            RENEWALS + "a_renewal_that_is_refused_is_written_down",
        ),
    ),
    Line(
        "signatures.reused",
        "the same identifier with other bytes is a conflict",
        (
            OPEN + "the_same_identifier_with_other_bytes_is_a_conflict",
            OPEN + "the_identifier_of_somebody_else_s_statement_is_a_conflict",
        ),
    ),
    Line(
        "signatures.first-arrival",
        "a minute either way, when it arrives first",
        (
            TIME + "a_statement_made_more_than_a_minute_from_now_is_refused",
            TIME + "what_comes_again_may_be_older_than_a_minute",
            TIME + "a_statement_that_lapsed_is_refused_even_when_it_comes_again",
        ),
    ),
    Line(
        "signatures.until",
        "approvals and facts say themselves how long they hold, within bounds",
        (
            QUORUM + "an_approval_lapses_before_its_proposal",
            ABUSE + "an_approval_that_lapsed_can_be_given_again_and_still_counts_once",
            TIME + "a_statement_that_is_valid_for_too_long_is_refused",
            FACTS + "a_fact_for_longer_than_the_attester_may_is_refused",
        ),
    ),
)

SPOKEN = (
    Line(
        "sessions.two-keys",
        "a session is signed by security key and device, over the same bytes",
        (
            SESSIONS + "a_session_without_the_signature_of_its_device_is_refused",
            SESSIONS + "a_session_signed_by_the_key_of_another_device_is_refused",
            SESSIONS + "a_session_on_the_device_of_another_person_is_refused",
            SESSIONS + "a_session_of_the_command_line_names_its_device",
        ),
    ),
    Line(
        "sessions.hour",
        "it lasts an hour at most",
        (
            SESSIONS + "a_session_of_more_than_an_hour_is_refused",
            SESSIONS + "a_session_lasts_an_hour_and_not_a_second_longer",
        ),
    ),
    Line(
        "sessions.browser",
        "a browser's reads and proposes; it opens, seals and attests nothing",
        (
            SESSIONS + "a_browser_session_reads_and_proposes",
            SESSIONS + "a_browser_session_opens_nothing",
            SESSIONS + "a_browser_session_seals_nothing",
            SESSIONS + "a_browser_session_attests_nothing",
        ),
    ),
    Line(
        "sessions.open",
        "opening takes the session's key and the device's, and no stray one",
        (
            SESSIONS + "opening_without_the_device_is_refused",
            SESSIONS + "opening_with_another_enrolled_device_is_refused",
            SESSIONS + "a_stray_signature_beside_the_right_ones_is_refused",
        ),
    ),
    Line(
        "sessions.grant",
        "a grant is for one subject, device, zone, version, manifest, files and time",
        (
            RELEASES + "a_grant_of_somebody_else_opens_nothing",
            RELEASES + "a_grant_for_another_device_opens_nothing",
            RELEASES + "a_grant_for_another_zone_opens_nothing",
            RELEASES + "a_grant_for_another_version_opens_nothing",
            RELEASES + "a_grant_for_another_manifest_opens_nothing",
            RELEASES + "a_grant_for_named_files_opens_those_only",
            RELEASES + "a_grant_that_is_over_opens_nothing",
        ),
    ),
    Line(
        "sessions.read",
        "a read is a small signed statement; whoever is not enrolled reads nothing",
        (
            OPEN + "whoever_is_enrolled_reads_names_and_nobody_else_does",
            OPEN + "a_read_leaves_no_entry",
            SESSIONS + "a_workload_reads_with_its_own_key",
        ),
    ),
    Line(
        "sessions.gateway-reads",
        "a gateway decides reads of metadata on its own fold; each is signed, for one target and one minute",
        (
            LOOKS + "whoever_is_enrolled_may_look",
            LOOKS + "a_look_is_for_one_target_and_one_body",
            LOOKS + "a_look_lasts_a_minute",
            LOOKS + "a_session_that_has_ended_looks_at_nothing",
            LOOKS + "a_statement_of_another_kind_is_no_look_and_a_look_is_no_act",
        ),
    ),
    Line(
        "sessions.claimed",
        "what a gateway claims may withhold and never permits",
        (
            POLICY + "what_a_gateway_claims_permits_nothing",
            POLICY + "what_a_gateway_claims_may_withhold",
            GOVERNANCE + "policies_that_cannot_be_used_are_refused",
        ),
    ),
)

DECIDED = (
    Line(
        "quorum.role",
        "an approval counts in the role and team that it names",
        (
            QUORUM + "an_approval_counts_in_the_role_that_it_names_and_in_no_other",
            QUORUM + "a_role_that_is_not_held_gives_no_voice",
            QUORUM + "a_role_for_another_model_gives_no_voice",
        ),
    ),
    Line(
        "quorum.once",
        "each person counts once",
        (
            QUORUM + "one_approval_is_not_enough",
            QUORUM + "one_person_with_two_keys_counts_once",
            QUORUM + "one_person_with_two_roles_counts_once",
        ),
    ),
    Line(
        "quorum.proposer",
        "the proposer does not count",
        (
            QUORUM + "nobody_approves_what_they_proposed",
            QUORUM + "the_proposer_does_not_count_whatever_the_log_says",
        ),
    ),
    Line(
        "quorum.own",
        "whoever gains does not count: the person, and who answers for a device or a workload",
        (
            QUORUM + "nobody_approves_a_role_of_their_own",
            QUORUM + "the_owner_of_a_device_has_no_voice_about_it",
            QUORUM + "the_sponsor_of_a_workload_has_no_voice_about_it",
            QUORUM + "whoever_gains_by_a_grant_has_no_voice_about_it",
            ABUSE + "whoever_may_open_a_version_has_no_voice_in_lowering_its_label",
            QUORUM + "an_approval_of_whoever_gains_does_not_count_whatever_the_log_says",
        ),
    ),
    Line(
        "quorum.exact",
        "an approval is for one exact proposal",
        (
            QUORUM + "an_approval_replayed_for_another_proposal_is_refused",
            QUORUM + "an_edited_proposal_is_noticed_by_its_digest",
        ),
    ),
    Line(
        "quorum.held",
        "the role is held when it is proposed, approved and enacted",
        (
            QUORUM + "a_role_given_mid_way_gives_no_voice",
            QUORUM + "a_role_that_was_lost_and_given_again_mid_way_gives_no_voice",
            QUORUM + "a_role_lost_before_the_enactment_takes_the_approval_along",
        ),
    ),
    Line("quorum.consumed", "an enactment uses its approvals up", (QUORUM + "enactment_consumes_the_approvals",)),
    Line(
        "quorum.looked-at-again",
        "at every use: a freeze, a removal or a reported key takes an approval away",
        (
            QUORUM + "an_approver_frozen_since_takes_the_approval_along",
            QUORUM + "an_approver_frozen_since_takes_the_grant_along",
            QUORUM + "an_approver_removed_since_takes_the_grant_along",
            QUORUM + "a_credential_reported_since_takes_the_approval_along",
            QUORUM + "a_credential_reported_since_takes_the_grant_along",
            QUORUM + "a_grant_given_before_the_label_rose_is_looked_at_again",
            ABUSE + "an_approval_that_did_not_count_at_the_grant_never_counts_later",
        ),
    ),
    Line(
        "quorum.ordinary",
        "an ordinary change of role, or a key laid aside, takes nothing away",
        (
            QUORUM + "an_ordinary_change_of_role_leaves_the_grant",
            SESSIONS + "a_removed_key_takes_its_sessions_with_it_but_not_its_approvals",
        ),
    ),
    Line(
        "quorum.cli",
        "from label 3, and for governance, one approval is by the command line; from label 3, of two teams",
        (
            QUORUM + "at_label_3_the_approval_site_alone_does_not_open",
            QUORUM + "at_label_3_two_people_of_one_team_do_not_open",
            QUORUM + "governance_takes_one_approval_by_the_command_line",
        ),
    ),
    Line(
        "quorum.copyable",
        "from label 3, keys that can be copied do not count",
        (QUORUM + "at_label_3_a_key_that_can_be_copied_does_not_count",),
    ),
    Line(
        "quorum.rejection",
        "one no ends a request for access; of governance it is counted only",
        (
            QUORUM + "one_rejection_ends_a_request_for_access",
            QUORUM + "a_rejection_of_governance_is_counted_only",
            QUORUM + "a_rejection_by_somebody_who_is_not_able_ends_nothing",
            QUORUM + "the_person_concerned_has_no_voice_about_a_thaw",
        ),
    ),
    Line(
        "quorum.floor",
        "no vote takes the floor away: two people open and govern, nothing frozen opens, no program decides",
        (
            GOVERNANCE + "no_policy_opens_without_two_people",
            POLICY + "one_person_opens_nothing_above_label_0_whatever_the_policies",
            POLICY + "one_person_governs_nothing_whatever_the_policies",
            "policy/test_defaults.py::test_the_floor_under_policies_that_permit_everything",
            SESSIONS + "a_workload_has_no_voice",
            RELEASES + "what_is_frozen_opens_nothing",
        ),
    ),
    Line(
        "quorum.errors",
        "a policy that errs refuses",
        (
            POLICY + "a_forbid_that_errs_does_not_fail_open",
            POLICY + "a_permit_that_errs_refuses_what_another_permits",
        ),
    ),
    Line(
        "quorum.acceptance",
        "what is accepted is directory state, changed by a quorum, and never weakens a signature",
        (
            GOVERNANCE + "an_acceptance_that_weakens_signatures_is_refused",
            ABUSE + "no_change_shuts_the_command_line_out",
            GOVERNANCE + "an_acceptance_is_changed_by_a_quorum_only",
            TIME + "the_tolerance_is_what_the_directory_says",
        ),
    ),
    Line(
        "quorum.stale",
        "a change names the state that it changes",
        (
            GOVERNANCE + "a_change_of_a_state_that_has_changed_since_is_stale",
            GOVERNANCE + "a_change_proposed_for_another_state_or_for_none_is_stale",
        ),
    ),
    Line(
        "quorum.old-and-new",
        "what changes who decides satisfies the old rules and the new",
        (
            GOVERNANCE + "a_policy_that_its_own_approvals_do_not_satisfy_is_refused",
            GOVERNANCE + "a_policy_that_the_old_rules_refuse_is_refused",
            GOVERNANCE + "a_quorum_that_its_own_approvals_do_not_reach_is_refused",
            GOVERNANCE + "the_approvers_of_a_change_are_counted_by_what_they_are_afterwards_too",
        ),
    ),
    Line(
        "quorum.lock-out",
        "afterwards, whoever is missing, policy can be changed",
        (
            GOVERNANCE + "a_change_after_which_one_absence_locks_everybody_out_is_refused",
            GOVERNANCE + "policies_that_lock_everybody_out_are_refused",
        ),
    ),
    Line("quorum.lost", "custodians may propose new people, when a quorum is lost", later="recovery"),
)

CLOSED = (
    Line(
        "closing.one",
        "one responder freezes and ends sessions, leases and grants",
        (
            CLOSING + "one_responder_freezes_at_once",
            CLOSING + "nobody_but_a_responder_freezes_what_is_not_theirs",
            SESSIONS + "only_a_responder_closes_the_session_of_somebody_else",
            RELEASES + "a_grant_that_was_revoked_opens_nothing",
        ),
    ),
    Line(
        "closing.for-good",
        "what is for good takes a quorum",
        (CLOSING + "a_responder_removes_nobody_for_good", CLOSING + "one_person_does_not_thaw"),
    ),
    Line(
        "closing.goes-on",
        "around a freeze, proposing, approving and thawing go on",
        (CLOSING + "a_frozen_deployment_proposes_approves_and_thaws",),
    ),
    Line(
        "closing.too-few",
        "no freeze of people leaves too few to thaw",
        (
            CLOSING + "freezing_so_many_that_nobody_could_thaw_is_refused",
            CLOSING + "whoever_has_no_key_left_is_not_among_those_who_could_thaw",
            ABUSE + "one_responder_cannot_report_everybodys_keys_away",
        ),
    ),
    Line(
        "closing.proof",
        "without its proof a freeze is called NOT FROZEN",
        (
            CLIENT + "a_freeze_without_proof_is_not_called_one",
            CLIENT + "a_freeze_that_is_answered_late_is_not_called_one",
        ),
    ),
    Line(
        "closing.reserve",
        "some space is for closing down; when that is gone as well, the keep stops",
        (
            OPEN + "on_a_full_disk_only_closing_down_goes_on",
            OPEN + "with_no_room_even_for_closing_down_the_keep_stops",
            "journal/test_disks.py::test_on_a_disk_that_is_full",
        ),
    ),
)

SAID = (
    Line(
        "facts.attester",
        "an attester is enrolled for kinds and a longest time, and says no more",
        (
            FACTS + "a_fact_of_a_kind_that_the_attester_does_not_know_is_refused",
            FACTS + "a_fact_for_longer_than_the_attester_may_is_refused",
            FACTS + "a_fact_about_nothing_is_refused",
        ),
    ),
    Line(
        "facts.revoked",
        "one responder revokes it, and all that it said",
        (
            FACTS + "a_revoked_attester_takes_its_facts_along",
            CLOSING + "one_responder_revokes_an_attester_and_nobody_else_does",
        ),
    ),
    Line(
        "facts.withhold",
        "a fact only withholds, and lapses into a refusal",
        (FACTS + "a_fact_opens_nothing_by_itself", FACTS + "a_fact_that_lapsed_refuses"),
    ),
    Line(
        "facts.worst",
        "the worst live one counts",
        (FACTS + "the_worst_live_fact_counts", FACTS + "no_attester_outvotes_a_worse_one_at_label_3"),
    ),
    Line("facts.self", "a device does not vouch for itself", (FACTS + "what_a_device_says_of_itself_is_no_fact",)),
    Line(
        "facts.range",
        "numbers are bounded before policy sees them",
        (
            FACTS + "a_fact_that_is_no_number_in_range_is_refused",
            "policy/test_requests.py::test_a_number_that_cedar_would_wrap_or_misread_is_refused",
        ),
    ),
    Line(
        "facts.steal",
        "at label 3 a zone needs 90 days, by its ceiling and by its meter",
        (
            RELEASES + "a_zone_that_lets_out_too_much_opens_nothing_at_label_3",
            FACTS + "the_meter_counts_where_it_shows_more_than_the_ceiling",
            ABUSE + "a_second_meter_that_says_less_opens_nothing",
            ABUSE + "a_writer_cannot_claim_more_tensors_than_there_are_bytes",
        ),
    ),
    Line("facts.steal-sum", "the ceilings of all zones with a live copy are summed", later="the arithmetic of theft"),
)

WRITTEN = (
    Line(
        "log.order",
        "entries and checkpoint in one transaction, then the high-water file, then the answer",
        (
            "journal/test_faults.py::test_what_was_acknowledged_is_there_whichever_write_breaks",
            BOOK + "what_is_staged_is_in_the_directory_and_not_in_the_journal_until_it_is_committed",
            OPEN + "no_key_leaves_before_its_entry_is_durable",
            BOOK + "what_was_decided_and_not_written_never_happened",
        ),
    ),
    Line(
        "log.start",
        "a signed tail that extends what is remembered is taken over; anything else is tampered",
        (
            JOURNAL + "a_signed_tail_that_extends_what_is_remembered_is_taken_over",
            JOURNAL + "an_edited_database_is_refused",
            JOURNAL + "yesterdays_database_put_back_is_refused",
            JOURNAL + "a_fork_that_our_own_key_signed_is_refused",
            JOURNAL + "a_flipped_bit_anywhere_is_refused_or_does_not_touch_the_log",
        ),
    ),
    Line(
        "log.fold",
        "one log gives one directory; what does not follow is tampered",
        (
            FOLD + "any_prefix_folds_to_the_same_bytes_whole_in_pieces_or_from_a_snapshot",
            FOLD + "an_enactment_of_nothing_that_is_open_is_tampered",
            FOLD + "no_bytes_break_the_fold_but_by_our_error",
            OPEN + "whoever_reads_the_log_has_the_keep_s_directory",
        ),
    ),
    Line(
        "log.snapshot",
        "a snapshot counts only if the log names it",
        (BOOK + "a_snapshot_that_the_log_does_not_name_is_tampered", BOOK + "a_snapshot_of_another_place_is_tampered"),
    ),
    Line(
        "log.refusals",
        "refusals of those enrolled are entries, ten a minute, then a number; others leave none",
        (
            REFUSALS + "a_flood_of_refusals_is_ten_entries_and_a_number",
            REFUSALS + "what_nobody_enrolled_validly_signed_leaves_no_entry",
        ),
    ),
    Line(
        "log.repeated",
        "a fact is an entry when it changes, or once an hour",
        (OPEN + "a_repeated_fact_is_no_entry_until_an_hour_has_passed",),
    ),
    Line(
        "log.basis",
        "an enactment says by which policies, floor and Cedar; what cannot be checked again is never valid",
        (
            OPEN + "an_enactment_says_by_which_rules",
            "verify/test_log.py::test_a_log_decided_by_another_cedar_is_never_called_valid",
            VERIFIER + "a_quorum_of_one_by_another_cedar_is_never_called_valid",
        ),
    ),
    Line(
        "log.time",
        "time never runs behind the newest entry",
        (CLOCK + "a_clock_set_back_never_runs_behind_the_log", TIME + "a_log_whose_time_runs_backwards_is_tampered"),
    ),
    Line(
        "log.doubt",
        "a leap, or a day without a word, stops releases until a quorum confirms; a trial only warns",
        (
            CLOCK + "after_a_leap_nothing_is_released_until_a_quorum_confirms_the_time",
            CLOCK + "a_start_after_a_long_stop_is_doubted_in_the_log",
            CLOCK + "a_trial_only_warns",
            RELEASES + "a_doubted_clock_opens_nothing",
            ABUSE + "a_clock_is_not_confirmed_by_a_time_that_nobody_sees_now",
            ABUSE + "an_approval_of_an_earlier_doubt_confirms_no_later_one",
        ),
    ),
    Line("log.doubt-witness", "a fresh cosignature of a witness confirms the time as well", later="witnesses"),
    Line(
        "log.checkpoint",
        "every answer carries a checkpoint and the time; clients stop at old ones and refuse others",
        (
            OPEN + "every_answer_carries_the_checkpoint_and_the_keep_s_time",
            "client_keep/test_replica.py::test_an_old_time_stops_whoever_is_shown_it",
            "client_keep/test_replica.py::test_whoever_was_ahead_is_not_led_back_nor_onto_a_fork",
            CLIENT + "a_forked_log_is_refused_though_its_own_key_signed_it",
            CLIENT + "a_shorter_log_is_refused",
        ),
    ),
)

KEPT = (
    Line(
        "keys.root",
        "what rests under the root key has a key of its own for each purpose",
        ("keyring/test_root.py::test_every_purpose_has_a_key_of_its_own",),
    ),
    Line(
        "keys.sealed",
        "sealed, the keep answers status and unseal; its next entry says who gave shares, and which code runs",
        (
            CEREMONY + "a_sealed_keep_answers_status_and_unseal_and_nothing_else",
            CEREMONY + "enough_shares_unseal_and_the_log_says_whose",
            CEREMONY + "the_digest_of_the_code_covers_every_room_that_the_keep_runs",
        ),
    ),
    Line(
        "keys.shares",
        "a share travels wrapped, to the key of this very start, whose words are compared",
        (
            CEREMONY + "a_share_for_another_start_does_not_open",
            CEREMONY + "a_share_sent_for_one_custodian_is_not_another_s",
            CLIENT + "a_share_goes_to_the_key_whose_words_were_compared_and_to_no_other",
            CEREMONY + "one_custodian_does_not_unseal_alone",
        ),
    ),
    Line(
        "keys.model",
        "a model's private key rests bound to deployment, model, generation and public key",
        (
            SHARES + "a_sealed_model_key_opens_in_no_other_place",
            SHARES + "a_sealed_model_key_does_not_open_where_the_log_names_another_public_key",
            VAULT + "a_model_key_that_is_missing_or_another_s_is_tampered",
        ),
    ),
    Line(
        "keys.writer",
        "a writer takes the public key from the log only",
        (CLIENT + "a_writer_takes_no_model_key_but_the_one_in_the_log",),
    ),
    Line(
        "keys.wrapped",
        "a data key is bound to deployment, model, generation, seal and purpose",
        (
            KEYS + "a_data_key_does_not_open_under_any_other_binding",
            KEYS + "a_data_key_does_not_open_with_another_identity",
        ),
    ),
    Line(
        "keys.number",
        "a version's number is the log's, and the loser of a race takes the next",
        (OPEN + "the_number_of_a_version_is_in_its_entry", RELEASES + "a_version_is_registered_once"),
    ),
    Line(
        "keys.files",
        "a file's key follows from data key, seal and path; sizes come from the manifest",
        (
            KEYS + "file_keys_equal_the_reference_and_differ_by_all_that_they_are_bound_to",
            KEYS + "a_path_cannot_be_written_so_that_it_takes_another_files_key",
            "sealing/test_floe.py::test_a_prefix_of_a_message_is_no_message_whoever_believes_its_length",
        ),
    ),
    Line(
        "keys.registration",
        "a version whose data key does not open its manifest is not registered",
        (
            OPEN + "a_version_that_the_keep_could_not_open_is_refused",
            VAULT + "a_version_is_registered_only_if_its_key_opens_its_manifest",
        ),
    ),
    Line(
        "keys.release",
        "a release names statement and manifest in the log; its answer is signed and bound to entry and recipient",
        (
            OPEN + "a_release_is_signed_by_the_keep_and_bound_to_its_entry",
            RELEASES + "a_lease_ends_with_its_grant_and_lasts_an_hour_at_most",
            RENEWALS + "a_clock_that_runs_ahead_makes_no_lease_longer",
            BOOK + "an_entry_that_releases_nothing_gives_no_key",
        ),
    ),
    Line(
        "keys.client",
        "the client checks all of it",
        (
            CLIENT + "a_signed_answer_about_something_else_is_refused",
            CLIENT + "an_answer_by_another_key_is_refused",
            CLIENT + "a_release_without_its_entry_in_the_log_is_refused",
            CLIENT + "a_key_that_is_wrapped_to_somebody_else_does_not_open",
            RELEASED + "a_manifest_that_is_not_the_one_in_the_log_does_not_open",
        ),
    ),
    Line(
        "keys.named-files",
        "a release of named files holds their keys only",
        (
            OPEN + "a_release_of_named_files_carries_their_keys_only",
            KEYS + "a_release_of_named_files_has_no_key_of_another",
        ),
    ),
    Line(
        "keys.labels",
        "labels rise by one person and fall by a quorum; what descends is as sensitive",
        (
            CLOSING + "whoever_has_any_role_raises_a_label_and_nobody_lowers_it_alone",
            RELEASES + "lineage_passes_the_label_on_to_another_model",
        ),
    ),
    Line(
        "keys.aliases",
        "an alias means a version of its own model, moves by who writes that, and opens nothing",
        (
            ALIASES + "an_alias_does_not_point_to_another_model_s_version",
            ALIASES + "another_name_s_identifier_is_not_taken",
            ALIASES + "nothing_moves_while_something_is_frozen",
            ALIASES + "an_alias_opens_nothing",
        ),
    ),
    Line("keys.rotate", "rotating renews wrappings, sealing again renews data keys", later="recovery"),
    Line("keys.destroy", "destroying ends when every older keyring is erased", later="recovery"),
    Line(
        "keys.leases",
        "further bytes need a renewal that the keep signed within five seconds; without one, reading pauses",
        (
            RENEWALS + "a_renewal_is_the_keep_s_word_of_now_for_the_same_entry",
            RENEWALS + "a_lease_is_not_renewed_once",
            LEASES + "for_five_seconds_nobody_is_asked_and_then_one_question_renews_without_an_entry",
            LEASES + "reading_pauses_while_the_keep_is_away_and_goes_on_when_it_is_back",
            LEASES + "a_pause_lasts_until_the_lease_ends",
            LEASES + "what_was_read_stays_and_no_way_of_reading_goes_on",
            LEASES + "an_older_renewal_that_is_played_back_opens_nothing",
        ),
    ),
    Line(
        "keys.texts",
        "a text rests under a key and a salt of its own, so that erasing is exact",
        (
            VAULT + "a_text_is_sealed_under_its_digest_and_opens_under_no_other",
            VAULT + "texts_that_are_equal_do_not_look_equal",
            "journal/test_journal.py::test_what_is_erased_is_in_no_file_any_more",
        ),
    ),
    Line(
        "keys.secrets",
        "no secret is in a log, an error or a repr",
        (
            OPEN + "no_secret_is_in_a_log_an_error_or_a_repr",
            "attacks/test_secrecy.py::test_no_output_of_any_command_holds_the_identity",
        ),
    ),
    Line(
        "keys.store",
        "uploads go to fresh names by presigned addresses, of one seal by a writer of that model",
        (
            "gateway/test_uploads.py::test_a_writer_gets_a_url_for_each_object",
            "gateway/test_uploads.py::test_a_name_of_another_seal_or_model_gets_no_url",
            "gateway/test_uploads.py::test_what_is_a_version_already_is_not_written_to",
            "gateway/test_uploads.py::test_nobody_gets_urls_to_write_at_without_a_look",
            "gateway/test_uploads.py::test_a_training_job_seals_through_a_gateway_and_a_researcher_does_not",
        ),
    ),
)

LINES = (*NAMES, *SIGNED, *SPOKEN, *DECIDED, *CLOSED, *SAID, *WRITTEN, *KEPT)


if __name__ == "__main__":
    for line in LINES:
        print(f"{line.id}: {line.says}" + (f" (later: {line.later})" if line.later else f" ({len(line.tests)} tests)"))
