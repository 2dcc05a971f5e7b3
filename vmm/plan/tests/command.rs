// SPDX-License-Identifier: BSD-2-Clause
//! The command: exit codes, files, and what it says to people and programs.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Instant;

use common::{boards, evk, images};

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let images = images();
    std::fs::write(folder.join("kernel"), &images.kernel).unwrap();
    std::fs::write(folder.join("initrd"), images.initrd.unwrap()).unwrap();
    folder
}

fn guestplan(folder: &Path, arguments: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_guestplan"))
        .arg("--boards")
        .arg(boards())
        .args(arguments.split(' ').filter(|argument| !argument.is_empty()))
        .current_dir(folder)
        .output()
        .unwrap()
}

/// Exit code, standard output and standard error of one call.
fn run(folder: &Path, arguments: &str) -> (i32, String, String) {
    let output = guestplan(folder, arguments);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn plan_writes_every_file_and_diff_finds_none() {
    let folder = folder("plan");
    for out in ["one", "two"] {
        let (code, text, _) =
            run(&folder, &format!("plan --board qemu --kernel kernel --initrd initrd --out {out}"));
        assert_eq!(code, 0, "{text}");
        for file in [
            "plan.bin",
            "guest.dtb",
            "guest.dts",
            "kernel.img",
            "initrd.img",
            "guest.system",
            "image.json",
            "memory-map.md",
        ] {
            assert!(folder.join(out).join(file).is_file(), "{file}");
        }
    }
    assert_eq!(run(&folder, "diff one two"), (0, "no difference\n".into(), String::new()));
    let (code, _, _) = run(&folder, "plan --board qemu --kernel kernel --ram 128 --out three");
    assert_eq!(code, 0);
    let (code, text, _) = run(&folder, "diff one three");
    assert_eq!(code, 1);
    assert!(text.contains("~ ram: 0x40000000..0x50000000 -> 0x40000000..0x48000000"), "{text}");
    assert!(text.contains("~ node /memory@40000000: reg"), "{text}");
}

#[test]
fn the_number_of_processors_is_one_option() {
    let folder = folder("cpus");
    let plan = "plan --board qemu --kernel kernel --cpus";
    assert_eq!(run(&folder, &format!("{plan} 4 --cores 4 --out four")).0, 0);
    let system = std::fs::read_to_string(folder.join("four/guest.system")).unwrap();
    assert!(system.contains("<vcpu id=\"3\" cpu=\"3\" />"), "{system}");
    let (code, _, error) = run(&folder, &format!("{plan} 5 --out five"));
    assert_eq!((code, error.contains("is 5: it must be 1 to 4")), (3, true), "{error}");
    assert_eq!(run(&folder, &format!("{plan} 2 --cores 0 --out none")).0, 3);
}

#[test]
fn findings_are_exit_code_1_and_notes_are_not() {
    let folder = folder("check");
    let qemu = "check --board qemu --kernel kernel";
    assert_eq!(run(&folder, qemu).0, 0);
    let (code, text, _) = run(&folder, &format!("{qemu} --debug-kernel"));
    assert_eq!((code, text.lines().last()), (0, Some("clean, 1 note(s)")));
    let (code, text, _) = run(&folder, &format!("{qemu} --dtb nothing.dtb"));
    assert_eq!(code, 3, "{text}");
    std::fs::write(folder.join("board.dtb"), common::board_tree().to_dtb()).unwrap();
    let pass = format!("{qemu} --tree board.dtb --pass serial1");
    let (code, text, _) = run(&folder, &pass);
    assert_eq!(code, 1);
    assert!(
        text.contains("error provider-missing: /soc/serial@9040000: its property clocks refers to"),
        "{text}"
    );
    assert_eq!(run(&folder, &format!("{pass} --accept provider-missing")).0, 0);
    let (code, json, _) = run(&folder, &format!("{pass} --format json"));
    assert_eq!(code, 1);
    let findings: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(findings[0]["id"], "provider-missing");
}

/// Issue 17, item 1: errors stop; what is accepted is accepted by name and stands in the files.
#[test]
fn what_is_accepted_is_in_the_files() {
    let folder = folder("accept");
    std::fs::write(folder.join("board.dtb"), common::board_tree().to_dtb()).unwrap();
    let plan = |more: &[&str], out: &str| {
        let all = ["plan", "--board", "qemu", "--kernel", "kernel", "--tree", "board.dtb"];
        let output = Command::new(env!("CARGO_BIN_EXE_guestplan"))
            .arg("--boards")
            .arg(boards())
            .args(all)
            .args(["--pass", "serial1,drop=pins", "--out", out])
            .args(more)
            .current_dir(&folder)
            .output()
            .unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, text) = plan(&[], "refused");
    assert_eq!(code, 1, "{text}");
    assert!(text.starts_with("nothing is built, errors in the plan: "), "{text}");
    let way = "--accept 'provider-missing /soc/serial@9040000'";
    assert!(text.contains(way) && !folder.join("refused").exists(), "{text}");
    let (code, text) = plan(&["--accept", "provider-missing serial@9040001"], "refused");
    assert_eq!((code, folder.join("refused").exists()), (1, false), "{text}");
    let (code, text) = plan(&["--accept", "provider-missing serial@9040000"], "accepted");
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("accepted provider-missing: /soc/serial@9040000: "), "{text}");
    let file = |name| std::fs::read_to_string(folder.join("accepted").join(name)).unwrap();
    let accepted = "provider-missing /soc/serial@9040000";
    let json: serde_json::Value = serde_json::from_str(&file("image.json")).unwrap();
    assert_eq!(json["accepted"], serde_json::json!([accepted]));
    assert!(file("memory-map.md").ends_with(&format!("\nAccepted: `{accepted}`\n")));
    // And in what the monitor's first line says (vmm/core/tests/monitor/report.rs).
    let block = std::fs::read(folder.join("accepted/plan.bin")).unwrap();
    let block = vmm_core::plan::PlanBlock::read(&block).unwrap();
    assert_eq!(block.facts().accepted.as_str(), accepted);
}

#[test]
fn what_a_board_accepts_stops_no_guest_of_it() {
    let facts = std::fs::read_to_string(boards().join("qemu_virt_aarch64/board.toml")).unwrap();
    let tree = || vmm_plan::dt::Tree::new(&common::board_tree());
    let wish = vmm_plan::Wish {
        pass: vec![vmm_plan::wish::Pass::parse("serial1,drop=pins").unwrap()],
        ..vmm_plan::Wish::default()
    };
    let plan = |facts: &str| {
        let board = vmm_plan::Board::parse("qemu_virt_aarch64", facts).unwrap();
        vmm_plan::Checked::new(&board, &wish, images(), Some(tree()))
    };
    let error = plan(&facts).unwrap_err();
    assert!(matches!(error, vmm_plan::PlanError::Findings { .. }), "{error}");
    // As the message says: above the first table.
    let way_out = error.to_string();
    let line = way_out.rsplit("or ").next().unwrap().split(" above").next().unwrap();
    let checked = plan(&facts.replacen("[cpu]", &format!("{line}\n[cpu]"), 1)).unwrap();
    assert_eq!(checked.plan().accepted, ["provider-missing /soc/serial@9040000"]);
    let unknown = facts.replacen("[cpu]", "accept = [\"nonsense\"]\n[cpu]", 1);
    let error = vmm_plan::Board::parse("x", &unknown).unwrap_err();
    assert!(error.contains("no finding is called 'nonsense'"), "{error}");
}

#[test]
fn usage_and_missing_input_are_exit_code_3() {
    let folder = folder("usage");
    for (arguments, say) in [
        ("", "Usage"),
        ("plan --board nowhere --kernel kernel --out x", "there are: maaxboard, qemu_virt_aarch64"),
        ("plan --board qemu --kernel missing --out x", "missing: No such file"),
        ("plan --board qemu --out x", "--kernel FILE"),
        ("check --board qemu --kernel kernel --accept nonsense", "there is: memory-mismatch"),
        ("check --board qemu --kernel kernel --accept provider", "no finding is called 'provider'"),
        ("check --board qemu --kernel kernel --pass uart", "--tree FILE"),
        ("check --board qemu --system x.system", "x.system"),
        ("check --board qemu --kernel kernel --forward 0xc2000000", "never forwarded"),
        ("explain esr twelve", "no number"),
        ("explain finding nonsense", "memory-mismatch"),
        ("report initrd", "initrd"),
        ("diff kernel initrd", "plan block"),
        ("drivers .", "Makefile"),
    ] {
        let (code, out, error) = run(&folder, arguments);
        assert_eq!(code, 3, "{arguments}: {out}{error}");
        assert!(error.contains(say), "{arguments}: {error}");
    }
}

#[test]
fn what_does_not_fit_is_exit_code_1() {
    let folder = folder("fit");
    let (code, _, error) =
        run(&folder, "plan --board maaxboard --kernel kernel --ram 2048 --out x");
    assert_eq!(code, 1);
    assert!(error.contains("guest RAM takes 2 GiB") && error.contains("are left"), "{error}");
}

#[test]
fn addresses_are_explained_with_remedies() {
    let folder = folder("explain");
    std::fs::write(folder.join("board.dtb"), common::board_tree().to_dtb()).unwrap();
    let address = |ipa: &str| {
        let (code, text, _) =
            run(&folder, &format!("explain address {ipa} --board qemu --tree board.dtb"));
        assert_eq!(code, 0);
        text
    };
    assert!(address("0x9000018").contains("region uart"));
    assert!(address("0x8000000").contains("GICD (0x8000000..0x8010000), emulated"));
    let ethernet = address("0xa010004");
    for line in [
        "/soc/ethernet@a010000",
        "the guest's device tree has no node for it",
        "--pass /soc/ethernet@a010000",
        "[[pass]]",
        "node = \"/soc/ethernet@a010000\"",
        "same pages: /soc/fuses@a010800",
    ] {
        assert!(ethernet.contains(line), "{line} in {ethernet}");
    }
    let (_, text, _) = run(&folder, "explain address 0x1000 --board qemu");
    assert!(text.contains("--tree FILE"), "{text}");
    let (_, text, _) = run(&folder, "explain smc 0xc2000006 --board maaxboard");
    assert!(text.contains("on maaxboard: answered with -1"), "{text}");
}

/// Issue 5, line 7; unoptimised, so the release build has more room still.
#[test]
fn planning_takes_less_than_a_tenth_of_a_second() {
    let Some(tree) = evk() else { return };
    let (_, tree) = vmm_plan::dt::read("evk", &tree).unwrap();
    for name in ["qemu_virt_aarch64", "maaxboard"] {
        let board = common::board(name);
        let best = (0..5)
            .map(|_| {
                let start = Instant::now();
                let plan = vmm_plan::Plan::with_tree(
                    &board,
                    &vmm_plan::Wish::default(),
                    images(),
                    Some(tree.clone()),
                );
                plan.unwrap().block().unwrap();
                start.elapsed()
            })
            .min();
        assert!(best.unwrap().as_millis() < 100, "{name}: {best:?}");
    }
}
