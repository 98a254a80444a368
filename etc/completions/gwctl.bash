# bash completion for gwctl
_gwctl()
{
    local cur=${COMP_WORDS[COMP_CWORD]} words=() command='' sub=''
    local i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --socket | --url | --token-file | -c) ((i++)) ;;
        -*) ;;
        *) words+=("${COMP_WORDS[i]}") ;;
        esac
    done
    command=${words[0]:-} sub=${words[1]:-}
    case ${COMP_WORDS[COMP_CWORD - 1]} in
    --socket | --token-file | -c) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
    --url | --name | --expires | --models | --team | --grace) return ;;
    esac
    local offered=''
    case $command in
    '') offered='status workers dns reload drain resume config keys usage ledger audit version help --socket --url --token-file -c --json --csv --help' ;;
    config) [ -n "$sub" ] || offered='check show diff history'
            [ "$sub" != check ] || { mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return; } ;;
    keys) case $sub in
          '') offered='create list show update disable enable rotate delete import export' ;;
          create | update) offered='--name --team --customer --models --expires --tags --metadata --json' ;;
          rotate) offered='--grace --json' ;;
          import) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
          *) offered='--json --csv' ;;
          esac ;;
    usage) offered='--by --since --until --json --csv' ;;
    ledger) offered='--key --model --since --until --limit --verify --json --csv' ;;
    audit) offered='--limit --json --csv' ;;
    *) offered='--json' ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$offered" -- "$cur")
}
complete -F _gwctl gwctl
