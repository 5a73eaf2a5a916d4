# Source this file in fish:  source ENVIRONMENT/bin/activate.fish
# The command `deactivate` takes everything back.

set -l _holdall_prefix (cd (dirname (status filename))/..; and pwd)

if test "$_HOLDALL_PREFIX" != "$_holdall_prefix" -o "$@VARIABLE@" != "$_holdall_prefix"
    # Another environment that was activated by a file like this one.
    if set -q _HOLDALL_PREFIX; and functions -q deactivate
        deactivate
    end

    function deactivate -d 'Leave the environment'
        set -l hooks $_HOLDALL_PREFIX/etc/conda/deactivate.d/*.fish
        for hook in $hooks[-1..1]
            source $hook
        end
        # Only this environment's folder leaves PATH: it may have changed otherwise.
        if set -l place (contains -i -- $_HOLDALL_PREFIX/bin $PATH)
            set -e PATH[$place]
        end
        if set -q _HOLDALL_OLD_VARIABLE
            set -gx @VARIABLE@ $_HOLDALL_OLD_VARIABLE
        else
            set -e @VARIABLE@
        end
        if set -q _HOLDALL_OLD_PYTHONHOME
            set -gx PYTHONHOME $_HOLDALL_OLD_PYTHONHOME
        end
        if functions -q _holdall_fish_prompt
            functions -e fish_prompt
            functions -c _holdall_fish_prompt fish_prompt
            functions -e _holdall_fish_prompt
        end
        set -e _HOLDALL_PREFIX
        set -e _HOLDALL_OLD_VARIABLE
        set -e _HOLDALL_OLD_PYTHONHOME
        functions -e deactivate
    end

    set -g _HOLDALL_PREFIX $_holdall_prefix
    if set -q @VARIABLE@
        set -g _HOLDALL_OLD_VARIABLE $@VARIABLE@
    end
    set -gx @VARIABLE@ $_HOLDALL_PREFIX
    set -gx PATH $_HOLDALL_PREFIX/bin $PATH
    if set -q PYTHONHOME
        set -g _HOLDALL_OLD_PYTHONHOME $PYTHONHOME
        set -e PYTHONHOME
    end
    if functions -q fish_prompt; and not set -q VIRTUAL_ENV_DISABLE_PROMPT
        functions -c fish_prompt _holdall_fish_prompt
        function fish_prompt
            # First, because it may show the status of the last command.
            set -l prompt (_holdall_fish_prompt)
            printf '(%s) ' (basename $_HOLDALL_PREFIX)
            string join \n -- $prompt
        end
    end
    for _holdall_hook in $_HOLDALL_PREFIX/etc/conda/activate.d/*.fish
        source $_holdall_hook
    end
end
